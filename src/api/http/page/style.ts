export const STYLE = `
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --get: #0a7; --post: #36c; --bad: #c33; }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 62rem; padding: 1rem; }
header { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: baseline; border-bottom: 1px solid var(--line); }
header h1 { font-size: 1.4rem; margin: 0; } header p { flex-basis: 100%; margin: 0; opacity: .8; }
header label { margin: .5rem 0; } header input { width: 22rem; }
h2 { font-size: 1.1rem; margin: 1.5rem 0 .5rem; }
details { border: 1px solid var(--line); border-radius: 6px; margin: .4rem 0; }
summary { cursor: pointer; padding: .4rem .6rem; display: flex; gap: .6rem; align-items: baseline; flex-wrap: wrap; }
summary code { font-weight: 600; } .verb { font: 600 .75rem ui-monospace, monospace; width: 3rem; }
.GET { color: var(--get); } .POST { color: var(--post); }
.body { padding: .2rem .8rem .8rem; border-top: 1px solid var(--line); }
label.field { display: grid; grid-template-columns: 12rem 18rem 1fr; gap: .6rem; margin: .3rem 0; align-items: baseline; }
label.field span { opacity: .75; font-size: .9rem; }
input, textarea, button, select { font: inherit; padding: .2rem .4rem; border: 1px solid var(--line); border-radius: 4px; background: Field; color: FieldText; }
textarea { width: 100%; min-height: 9rem; font: 13px/1.4 ui-monospace, monospace; }
button { background: var(--post); color: #fff; border: 0; padding: .35rem 1rem; cursor: pointer; }
button.plain { background: var(--soft); color: inherit; padding: .15rem .6rem; margin: 0 .3rem .3rem 0; font-size: .9rem; }
pre { background: var(--soft); padding: .6rem; border-radius: 4px; overflow: auto; max-height: 28rem; font: 13px/1.4 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
table { border-collapse: collapse; font-size: .9rem; width: 100%; } td, th { text-align: left; vertical-align: top; padding: .15rem .6rem .15rem 0; border-bottom: 1px solid var(--line); }
td code { white-space: nowrap; } .status.bad { color: var(--bad); } .status { font-weight: 600; }
.required::after { content: ' *'; color: var(--bad); }
@media (max-width: 45rem) { label.field { grid-template-columns: 1fr; } }
`;
