"""A small read-only viewer, rendered by the server, for when there is no build of the web app.

`read` turns rows into plain data, `draw` and `plotly` turn numbers into SVG, `app` joins both with the templates.
"""

from server.embedded.viewer.app import application

__all__ = ["application"]
