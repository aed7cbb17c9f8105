"""What people and clients write: ranges, field masks, typed-in values, number formats, formulas. Pure."""
