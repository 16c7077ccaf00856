"""
One nginx.conf under real nginx and under ours: what differs?
"""
