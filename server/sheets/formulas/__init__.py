"""Formulas: read, computed when cells are read, moved along with rows and columns. Pure but for the cells they ask for."""
