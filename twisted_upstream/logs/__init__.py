"""
Logs: nginx's error log, access logs, and the files and syslog servers they go to.
"""
