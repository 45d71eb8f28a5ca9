"""The page at `/`: what this service is and how to ask it. Nothing in it is loaded from elsewhere."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}

INDEX_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Newsframe</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
pre { overflow-x: auto; padding: .75rem; border: 1px solid; }
td { padding-right: 1.5rem; vertical-align: top; }
</style>
</head>
<body>
<h1>Newsframe</h1>
<p>Reads news sentence by sentence and labels how each frames a conflict, under the codebook that
<a href="/v1/codebook">/v1/codebook</a> gives.</p>
<table>
<tr><td>POST <code>/v1/classify</code></td><td>labels sentences</td></tr>
<tr><td>POST <code>/v1/documents</code></td><td>splits articles into sentences and labels them</td></tr>
<tr><td>GET <a href="/v1/info"><code>/v1/info</code></a></td><td>the model, the limits, the versions</td></tr>
<tr><td>GET <a href="/v1/codebook"><code>/v1/codebook</code></a></td><td>axes, labels, definitions, examples</td></tr>
<tr><td>GET <a href="/docs.json"><code>/docs.json</code></a></td><td>all of it, as OpenAPI 3.1</td></tr>
<tr><td>GET <code>/livez</code> <code>/readyz</code> <code>/metrics</code></td><td>for machines</td></tr>
</table>
<pre><code>curl http://127.0.0.1:3000/v1/classify \\
  --json '{"inputs": ["The two ministers met in Geneva on Monday."]}'</code></pre>
</body>
</html>
"""
