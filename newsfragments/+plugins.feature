Third parties add balancers and protocols as Twisted plugins; `twisted_upstream.plugins` is their kit.
