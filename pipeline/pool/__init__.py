"""Several repositories at a time, without a server: processes, retries, progress, and an end at any moment.

interruption   what SIGINT, SIGTERM and SIGHUP do
status         progress and messages, between the workers and whoever watches
repeating      something that is looked at again and again meanwhile
overview       a long harvest at one moment: rate, time left, failures by reason
worker         the beginning and the end of a worker process
process        a call in a process of its own
run            the repositories of a harvest, filmed by a pool; the database kept fresh meanwhile
"""
