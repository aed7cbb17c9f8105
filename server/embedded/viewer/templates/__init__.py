"""Files of the viewer's pages; a package so that they are installed with it."""
