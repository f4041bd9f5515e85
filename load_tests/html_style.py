"""The style sheet of the HTML report: light and dark, wide and narrow."""

STYLE = """
:root { color-scheme: light dark;
  --bg: #f6f7f9; --card: #fff; --ink: #1a1f2b; --dim: #667085; --line: #e3e6eb; --good: #0a7d4b; --bad: #c4262e;
  --goodbg: #e4f5ec; --badbg: #fdeaea; --phase: #1a1f2b0a; --bar: #3b6cf6;
  --c0: #3b6cf6; --c1: #e0582b; --c2: #12936a; --c3: #9a4bd1; --c4: #b8860b; --c5: #0892b8; --c6: #d63384;
  --c7: #6b7280 }
@media (prefers-color-scheme: dark) { :root {
  --bg: #10131a; --card: #191e28; --ink: #e8ebf1; --dim: #97a1b3; --line: #2b3240; --good: #4ade9a; --bad: #ff7b7b;
  --goodbg: #10301f; --badbg: #3a1719; --phase: #ffffff0b; --bar: #6d93ff;
  --c0: #6d93ff; --c1: #ff9166; --c2: #4fd1a5; --c3: #c58cf0; --c4: #e6b84d; --c5: #4cc9f0; --c6: #ff7ab8;
  --c7: #a3acbd } }
* { box-sizing: border-box }
body { margin: 0; background: var(--bg); color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
main { max-width: 1160px; margin: 0 auto; padding: 28px 16px 60px }
header { display: flex; flex-wrap: wrap; align-items: center; gap: 6px 14px; margin-bottom: 4px }
h1 { font-size: 26px; line-height: 1.2; margin: 0; letter-spacing: -.01em }
h2 { font-size: 17px; margin: 34px 0 10px }
h3 { font-size: 14px; margin: 0 0 4px; font-weight: 600 }
p { margin: 6px 0 } .dim, .note { color: var(--dim) } .note { font-size: 13.5px }
.pill { border-radius: 99px; padding: 3px 13px; font-weight: 600; font-size: 14px }
.good { color: var(--good) } .bad { color: var(--bad) }
.pill.good { background: var(--goodbg) } .pill.bad { background: var(--badbg) }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 14px 16px }
.tiles, .plots, .two { display: grid; gap: 12px }
.heed { border-left: 3px solid var(--c4); padding: 2px 0 2px 12px; font-size: 14px; max-width: 76ch }
.asked { font-weight: 600; margin-top: 10px }
.tiles { grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); margin: 18px 0 }
.plots, .two { grid-template-columns: repeat(auto-fill, minmax(min(100%, 400px), 1fr)) }
.tile b { display: block; font-size: 25px; line-height: 1.25; letter-spacing: -.02em;
  font-variant-numeric: tabular-nums }
.tile b small { font-size: 14px; font-weight: 500; color: var(--dim); letter-spacing: 0 }
.tile span { color: var(--dim); font-size: 13.5px } .tile .name { color: var(--ink); font-weight: 600 }
ul.checks { list-style: none; margin: 0; padding: 0; columns: 2 380px; column-gap: 32px }
ul.checks li { display: flex; gap: 10px; padding: 5px 0; border-bottom: 1px solid var(--line); break-inside: avoid }
ul.checks b { flex: none; width: 1.1em }
ul.checks span { display: block; font-size: 13.5px; overflow-wrap: anywhere }
.scroll { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 14px }
th { text-align: left; font-weight: 600; color: var(--dim); font-size: 13px }
th, td { padding: 5px 10px 5px 0; border-top: 1px solid var(--line); vertical-align: top }
tr:first-child th { border-top: 0 } td.n, th.n { text-align: right; white-space: nowrap; padding: 5px 0 5px 10px }
td.wide { overflow-wrap: anywhere }
.bar { display: block; height: 6px; border-radius: 3px; background: var(--bar); min-width: 2px; margin-top: 4px }
svg { display: block; width: 100%; height: auto }
svg text { fill: var(--dim); font: 11.5px system-ui, sans-serif } svg .y { text-anchor: end }
svg .x, svg .name { text-anchor: middle } svg .grid { stroke: var(--line) }
svg .phase { fill: none } svg .phase.p1 { fill: var(--phase) } svg .mark { stroke: var(--bad); stroke-dasharray: 3 3 }
svg .line { fill: none; stroke-width: 1.8; stroke-linejoin: round }
.legend { display: flex; flex-wrap: wrap; gap: 2px 14px; font-size: 13px; color: var(--dim) }
.legend i { display: inline-block; width: 11px; height: 3px; border-radius: 2px; margin-right: 6px;
  vertical-align: 4px }
.s0 { stroke: var(--c0) } .s1 { stroke: var(--c1) } .s2 { stroke: var(--c2) } .s3 { stroke: var(--c3) }
.s4 { stroke: var(--c4) } .s5 { stroke: var(--c5) } .s6 { stroke: var(--c6) } .s7 { stroke: var(--c7) }
.dot.s0, i.s0 { fill: var(--c0); background: var(--c0) } .dot.s1, i.s1 { fill: var(--c1); background: var(--c1) }
.dot.s2, i.s2 { fill: var(--c2); background: var(--c2) } .dot.s3, i.s3 { fill: var(--c3); background: var(--c3) }
.dot.s4, i.s4 { fill: var(--c4); background: var(--c4) } .dot.s5, i.s5 { fill: var(--c5); background: var(--c5) }
.dot.s6, i.s6 { fill: var(--c6); background: var(--c6) } .dot.s7, i.s7 { fill: var(--c7); background: var(--c7) }
.dot { stroke-width: 0 }
@media print { body { background: #fff } .card { break-inside: avoid } }
"""
