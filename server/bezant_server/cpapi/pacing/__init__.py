"""Pacing: one scheduler that every call to the gateway passes, so that IBKR's limits are never broken.

limits      IBKR's limits as data
windows     how much of a limit is left, judged at the gateway's clock
calls       what a call is: its lane, whether it may void a question, what it would share
line        the scheduler's decisions, pure: who may be sent now, who waits, until when
sharing     identical reads in flight, and last answers
pacer       the asyncio side: queues callers, sends when the line says so
"""
