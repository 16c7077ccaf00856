FastCGI, uwsgi and SCGI: `fastcgi_pass`, `uwsgi_pass`, `scgi_pass` and their directives, with parameters, bodies held or streamed, and connections kept by `fastcgi_keep_conn`.
