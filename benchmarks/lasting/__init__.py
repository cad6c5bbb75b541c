"""A harvest that lasts: a simulated GitHub, a Prefect server and two workers that are killed now and then.

github     the repositories, what is wrong with some of them, and new commits
service    the Prefect server, its workers and runs of harvest/github
samples    memory, files and progress every ten seconds, as rows of a CSV file
pages      whether the page of a harvest says what the warehouse holds
proof      whether anything was lost or stands twice, against recordings that were made without Prefect
"""
