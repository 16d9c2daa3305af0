"""Statistics and ready scenarios shipped with the package."""
