import { SCRIPT } from './script.ts';
import { STYLE } from './style.ts';

/** A page to try every route with: it reads the document that the routes made, and loads nothing from elsewhere. */
const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>gpu-handlers</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/style.css">
<script src="/docs/script.js" defer></script>
</head>
<body>
<header>
<h1>gpu-handlers <small id="version"></small></h1>
<p id="about"></p>
<label>Key <input id="key" type="password" autocomplete="off" placeholder="one of API_KEYS; stays in this tab"></label>
<a href="/openapi.json">openapi.json</a>
</header>
<main id="operations"><p>Reading /openapi.json</p></main>
</body>
</html>
`;

export const PAGE_FILES = [
  { path: '/docs', type: 'text/html; charset=utf-8', text: PAGE },
  { path: '/docs/style.css', type: 'text/css; charset=utf-8', text: STYLE },
  { path: '/docs/script.js', type: 'text/javascript; charset=utf-8', text: SCRIPT },
] as const;
