"""The page that `html_report` fills: it loads nothing, and nothing may be loaded by it."""

from string import Template

from .html_parts import STYLE

PAGE = Template(
    """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>$title</title>
<style>
"""
    + STYLE
    + """\
</style>
</head>
<body>
<main>
<h1>$title</h1>
<p>Started on $started</p>
<p class="outcome $state">$outcome</p>
<dl>$tiles</dl>
<h2>What went wrong</h2>
$failures
<h2>Files</h2>
<div class="wide"><table id="files">
<thead><tr><th scope="col">File</th><th scope="col">Images sent</th><th scope="col">Share</th>
<th scope="col">Status</th></tr></thead>
<tbody>
$files</tbody></table></div>
<h2>Images a second</h2>
$rate
<h2>C-STORE times</h2>
$durations
<h2>Presentation contexts</h2>
$contexts
<h2>Configuration</h2>
$config
<h2>Versions</h2>
$versions
</main>
</body>
</html>
"""
)
