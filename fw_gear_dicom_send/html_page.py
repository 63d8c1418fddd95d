"""The page that `html_report` fills."""

from .html_parts import page

PAGE = page(
    "Started on $started",
    """\
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
""",
)
