"""The one session: its state, what keeps it alive, what opens it again.

machine      the states and what leads from one to another, pure
maintenance  IBKR's maintenance windows
reading      the gateway's JSON as observations
choices      what the gateway forgets with a brokerage session, and is told again
witness      hears every answer and frame of the gateway, and tells the machine
keeper       asks, opens, primes: everything that is done about the state
board        the state for those who follow it
preflights   the calls that must come before others, once a session
typed        the gateway as typed RPCs call it
build        puts it together from the configuration
service      SessionService
messages     the state and the limits as SessionService's messages
"""
