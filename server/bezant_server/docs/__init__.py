"""The documentation of the REST paths: an OpenAPI document, and a page that shows it."""
