"""`bezant up`: finds, configures and supervises the processes that make up a running system."""
