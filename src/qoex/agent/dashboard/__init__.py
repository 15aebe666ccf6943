"""The dashboard: a page of the running market, served by the agent itself.

``static`` holds the page as the browser gets it: ES modules without a build step, one style
sheet, and uPlot. It reads the agent's HTTP interface with the reader's token and asks nobody else.
"""

from qoex.agent.dashboard.routes import dashboard_routes

__all__ = ["dashboard_routes"]
