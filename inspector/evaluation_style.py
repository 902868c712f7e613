"""The style sheet of our pages, evaluation and calibration, light and dark."""

STYLE = """
:root { color-scheme: light dark; --page: #f5f6f4; --card: #ffffff; --ink: #1c2320; --soft: #5e6964; --line: #dfe3e0;
  --good: #0f766e; --bad: #c2410c; --warn: #fff3e6 }
@media (prefers-color-scheme: dark) { :root { --page: #121614; --card: #1b211e; --ink: #e7ece9; --soft: #9aa6a0;
  --line: #2e3733; --good: #2dd4bf; --bad: #fb8b4b; --warn: #33261a } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 28px 24px 40px; max-width: 1120px; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif }
h1 { margin: 0; font-size: 26px; letter-spacing: -.01em } h2 { margin: 34px 0 10px; font-size: 17px }
header p, footer { color: var(--soft) } header p { margin: 4px 0 22px }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(220px, 1fr)); gap: 12px }
.card, .charts figure, table, .maps figure, .warning { background: var(--card); border: 1px solid var(--line);
  border-radius: 10px }
.card { padding: 12px 14px } .card h3 { margin: 0; font-size: 12.5px; font-weight: 500; color: var(--soft) }
.card p { margin: 0; font-size: 12px; color: var(--soft); font-variant-numeric: tabular-nums }
.card .value { font-size: 25px; font-weight: 600; line-height: 1.35; color: var(--ink) }
.range { position: relative; height: 5px; margin: 4px 0 6px; border-radius: 3px; background: var(--line) }
.range i { position: absolute; height: 100%; min-width: 2px; border-radius: 3px; background: var(--good); opacity: .45 }
.range b { position: absolute; top: -2px; width: 3px; height: 9px; margin-left: -1px; border-radius: 2px;
  background: var(--good) }
.missed .range i, .missed .range b { background: var(--bad) }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(340px, 1fr)); gap: 12px; margin-top: 14px }
.charts figure { margin: 0; padding: 12px 14px } .charts figcaption { font-weight: 600; margin-bottom: 6px }
.charts figure:only-child { max-width: 620px } .maps img:only-of-type { grid-column: 1 / 3 }
svg { display: block; width: 100%; height: auto } svg text { font-size: 11px; fill: var(--soft) }
svg .grid { stroke: var(--line) } svg .curve { fill: none; stroke: var(--good); stroke-width: 2.2 }
svg .under { fill: var(--good); opacity: .1 } svg .chance { stroke: var(--soft); stroke-dasharray: 3 4; opacity: .6 }
svg .good { fill: var(--good); opacity: .62 } svg .bad { fill: var(--bad); opacity: .62 }
svg .limit { stroke: var(--ink); stroke-dasharray: 5 4 } svg .note { fill: var(--ink) }
svg .band { opacity: .1 } svg .band.clear { fill: var(--good) } svg .band.review { fill: #eab308; opacity: .22 }
svg .band.reject { fill: var(--bad) }
header .promise { margin: 0 0 22px; font-size: 20px; line-height: 1.4; color: var(--ink) }
.key { margin-left: 12px; font-weight: 400; font-size: 13px; color: var(--soft) }
.key::before { content: ""; display: inline-block; width: 10px; height: 10px; margin-right: 5px; border-radius: 2px;
  background: var(--good) } .key.bad::before { background: var(--bad) }
table { width: 100%; border-spacing: 0; overflow: hidden } th, td { padding: 8px 14px; text-align: left }
thead th { font-size: 12.5px; font-weight: 500; color: var(--soft) } tbody th { font-weight: 600 }
tbody th, tbody td { border-top: 1px solid var(--line); font-variant-numeric: tabular-nums }
.bar { display: inline-block; width: 130px; height: 7px; margin-right: 10px; border-radius: 4px;
  background: var(--line); vertical-align: 1px }
.bar i { display: block; height: 100%; border-radius: 4px; background: var(--good) }
.bar.bad i { background: var(--bad) }
.maps { display: grid; grid-template-columns: repeat(auto-fill, minmax(320px, 1fr)); gap: 12px }
.maps figure { display: grid; grid-template-columns: 1fr 1fr; gap: 2px; margin: 0; overflow: hidden }
.maps img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain; background: #000 }
.maps figcaption { grid-column: 1 / 3; padding: 7px 12px 9px; font-size: 13px; font-variant-numeric: tabular-nums }
.maps small { color: var(--soft); overflow-wrap: anywhere } .maps em { font-style: normal; font-weight: 600 }
.wrong em { color: var(--bad) } .right em { color: var(--good) }
.warning { margin-bottom: 14px; padding: 10px 14px; background: var(--warn); border-color: var(--bad) }
.warning ul { max-height: 220px; overflow: auto; font-size: 13px } summary { cursor: pointer }
footer { margin-top: 36px; padding-top: 14px; border-top: 1px solid var(--line); font-size: 12.5px }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 14px; margin: 0 } dd { margin: 0;
  overflow-wrap: anywhere }
"""
