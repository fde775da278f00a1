"""The brokerage session: keeping it alive."""
