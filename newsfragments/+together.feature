Under `twistd upstream`, small writes of one reactor round leave together: fewer sends wake a sleeping process, which on small requests saves up to a third of the processor time.
