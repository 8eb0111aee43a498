/** Of the report page: light and dark, from a phone to a wide screen. */
export const STYLE = `
:root { color-scheme: light dark; --ink: #1c2126; --soft: #5f6a74; --line: #dfe3e7; --card: #fff; --ground: #f4f6f8; --good: 26 127 75; --bad: 192 57 43; --one: #2f6fdb; --two: #c2621b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ecef; --soft: #9aa5ae; --line: #333b42; --card: #1e2429; --ground: #14181b; --good: 79 194 131; --bad: 240 119 106; --one: #6ea2ff; --two: #f0a060; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1200px; padding: 32px 24px 64px; background: var(--ground); color: var(--ink); font: 15px/1.45 system-ui, sans-serif; }
h1 { margin: 0 0 4px; font-size: 26px; overflow-wrap: anywhere; }
h2 { margin: 36px 0 8px; font-size: 19px; }
h2 span { color: var(--soft); font-weight: 400; }
p { margin: 0 0 12px; color: var(--soft); }
ul { margin: 0; padding-left: 20px; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: 12px; margin: 20px 0 0; }
dl div, .card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px 16px; }
dt { color: var(--soft); font-size: 13px; }
dd { margin: 0; font-size: 25px; font-weight: 600; }
dd small { display: block; font-size: 12px; font-weight: 400; color: var(--soft); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(420px, 100%), 1fr)); gap: 12px; }
.chart { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px 12px 4px; }
.chart figcaption { font-weight: 600; font-size: 14px; }
.chart figcaption span { font-weight: 400; color: var(--soft); margin-left: 10px; }
.chart figcaption i { display: inline-block; width: 10px; height: 10px; border-radius: 5px; margin-right: 5px; }
svg { width: 100%; height: auto; }
svg text { font-size: 11px; fill: var(--soft); }
.grid { stroke: var(--line); }
.best { stroke: var(--soft); stroke-dasharray: 3 3; }
.scroll { overflow-x: auto; margin-bottom: 12px; }
table { border-collapse: collapse; background: var(--card); font-size: 13px; }
td, th { border: 1px solid var(--line); padding: 5px 10px; text-align: left; font-weight: 400; }
thead th { color: var(--soft); }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.confusion td { text-align: center; padding: 0; width: 34px; min-width: 34px; height: 30px; font-variant-numeric: tabular-nums; }
.confusion tbody th { white-space: nowrap; }
.confusion .turned { height: 110px; padding: 0 0 6px; vertical-align: bottom; }
.confusion .turned span { writing-mode: vertical-rl; transform: rotate(180deg); white-space: nowrap; max-height: 100px; overflow: hidden; text-overflow: ellipsis; }
.confusion .good { background: rgb(var(--good) / calc(0.12 + 0.6 * var(--share))); }
.confusion .bad { background: rgb(var(--bad) / calc(0.2 + 0.8 * var(--share))); }
.mistakes { display: grid; grid-template-columns: repeat(auto-fill, minmax(170px, 1fr)); gap: 12px; }
.mistakes figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 10px; }
.mistakes img { width: 100%; height: 150px; object-fit: contain; background: #2a2e32; border-radius: 6px; }
.mistakes figcaption { margin-top: 6px; font-size: 12px; overflow-wrap: anywhere; }
.mistakes b { color: rgb(var(--bad)); }
.mistakes small { color: var(--soft); }
`;
