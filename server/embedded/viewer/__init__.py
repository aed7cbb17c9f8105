"""Plain server-rendered pages over what the server holds, for when there is no build of the web app."""

from server.embedded.viewer.pages import application

__all__ = ["application"]
