"""The pages: routes, templates, scripts."""
