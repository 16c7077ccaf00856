Plugins get responses in memory without a client: `build.fetcher(...)`; `subrequest_output_buffer_size` limits them.
