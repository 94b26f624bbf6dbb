// The README's picture, drawn from what the bench prints.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'

const BENCH = join(import.meta.dirname, '../bench')

describe('the chart of the bench', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ptq-plot-'))
  after(() => rmSync(folder, { recursive: true }))
  const [from, to] = [join(folder, 'bench.ndjson'), join(folder, 'bench.svg')]

  function node(program: string, ...args: string[]) {
    const env = { ...process.env, PTQ_PYTHON: undefined }
    return spawnSync(process.execPath, [join(BENCH, program), ...args], { encoding: 'utf8', env })
  }

  it('shows the selected rows with the numbers of all contenders, and the machine', () => {
    const { stdout } = node('main.js', '--scope', 'local,fq', '--n', '20', '--rounds', '1', '--json')
    writeFileSync(from, `\n> ptq@0.0.0 bench\n> node build/bench/main.js --json\n\n${stdout}`)
    const { status, stderr } = node('plot/main.js', '--from', from, '--to', to)
    assert.deepEqual([status, stderr], [0, ''])
    const svg = readFileSync(to, 'utf8')
    assert.match(svg, /^<svg [\s\S]*<\/svg>\n$/)
    assert.equal(svg.match(/class="text heading"/g)?.length, 3)
    assert.ok((svg.match(/<circle class="ours" /g)?.length ?? 0) > 3)
    assert.match(svg, /<circle class="rival" /)
    assert.match(svg, /<circle class="floor" /)
    assert.match(svg, /piscina\.run for each task<\/text>[\s\S]*ptq is [\d.,]+ ×/)
    assert.ok(svg.includes(`Node ${process.versions.node}`))
    assert.doesNotMatch(svg, /NaN|undefined|Infinity/)
  })

  it('refuses a file that is not a result of the bench, and a renamed row or contender', () => {
    for (const [text, reason] of [
      [undefined, /^Expected \S+ to hold what the bench measured \(npm run -s bench .*ENOENT/],
      ['no json', /^Expected \S+ to hold what the bench measured/],
      ['{"scope":"latency"}', /^Expected rows of local or fq or packs or sqs, got none/],
      [readFileSync(from, 'utf8').replace('two threads', '2 threads'), /^Expected the row "local: .*was it renamed\?/],
      [readFileSync(from, 'utf8').replaceAll('bare Node', 'Node'), /^Expected the row .* to have "the same calls/],
    ] as const) {
      const path = join(folder, text === undefined ? 'nowhere' : 'bad.ndjson')
      if (text !== undefined) writeFileSync(path, text)
      const { status, stdout, stderr } = node('plot/main.js', '--from', path, '--to', to)
      assert.deepEqual([status, stdout], [1, ''])
      assert.match(stderr, reason)
    }
  })
})
