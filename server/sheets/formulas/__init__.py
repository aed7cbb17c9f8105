"""Formulas: computed when cells are read, moved along with rows and columns; pure but for the cells they ask for."""
