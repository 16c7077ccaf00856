"""
What several tests need: transports, servers, transcripts.
"""
