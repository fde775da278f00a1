"""The REST endpoints, one module for each area of the API."""
