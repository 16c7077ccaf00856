Before a reload closes an idle connection, a request that has already arrived on it is read and answered.
