`redis_pass`: values of Redis, with passwords and databases.
