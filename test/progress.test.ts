import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'

const ROOT = join(import.meta.dirname, '../..')

/** Runs `body` in a process; returns when nothing keeps that process alive. */
function run(body: string, { terminal, columns = 100 }: { terminal: boolean; columns?: number }) {
  const program = `
    import { startProgress } from '#ptq/progress/progress.js'
    ${body}
    const held = process.getActiveResourcesInfo().filter(name => name === 'Timeout')
    process.stdout.write(JSON.stringify({ held, listeners: process.listenerCount('SIGINT') }))`
  const node = [process.execPath, '--input-type=module', '--eval', program]
  const quoted = node.map(part => `'${part.replaceAll("'", "'\\''")}'`).join(' ')
  const [command, ...args] = terminal ? ['script', '-qec', `stty cols ${columns}; ${quoted}`, '/dev/null'] : node
  return spawnSync(command ?? '', args, { cwd: ROOT, encoding: 'utf8', timeout: 60_000 })
}

/**
 * `script` of util-linux gives a process a real terminal. Elsewhere (macOS has another `script`) the test is skipped.
 */
function needsTerminal(t: TestContext): boolean {
  const found = spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux') ?? false
  if (!found) {
    assert.ok(!process.env.CI, '`script` of util-linux is needed to test the progress bar on a terminal')
    t.skip('no `script` of util-linux here: the progress bar was NOT tested on a terminal')
  }
  return found
}

describe('startProgress', () => {
  it('draws a bar with rate and ETA on a terminal, and removes it at the end', t => {
    if (!needsTerminal(t)) return
    const body = `
      const progress = startProgress({ label: 'tasks', total: 8, enabled: true })
      progress.add(2)
      const redrawnMs = performance.now() + 150
      while (performance.now() < redrawnMs) progress.add(0) // tasks that leave the event loop no turn
      progress.add(6)
      progress.stop()
      progress.stop()
      progress.add(1)`
    const { stdout, status } = run(body, { terminal: true })
    assert.equal(status, 0)
    assert.match(stdout, /tasks \[-{24}\] 0% \| 0\/8 \| 0\.0\/s \| ETA \?/)
    assert.match(stdout, /tasks \[={6}-{18}\] 25% \| 2\/8 \| [\d.]+\/s \| ETA \d+s/)
    assert.match(stdout, /tasks \[={24}\] 100% \| 8\/8 \| [\d.]+\/s \| ETA 0s/)
    assert.match(stdout, /\{"held":\[\],"listeners":0\}$/)
    // Moves within the line and erases in it (G, K): nothing that a killed process would leave changed.
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escapes are what this is about
    const escapes = stdout.match(/\x1b(?:\[[?\d;]*[A-Za-z]|.)/g) ?? []
    assert.deepEqual([...new Set(escapes.map(sequence => sequence.at(-1)))].sort(), ['G', 'K'])
  })

  it('draws a counter with the rate if the total is unknown', t => {
    if (!needsTerminal(t)) return
    const body = `
      const progress = startProgress({ label: 'tasks', total: undefined, enabled: true })
      progress.add(1234)
      progress.stop()`
    const { stdout } = run(body, { terminal: true })
    assert.match(stdout, /tasks 1234 \| \d+\/s \| \d+s/)
    assert.doesNotMatch(stdout, /%|ETA/)
  })

  it('prints nothing when it is off', t => {
    if (!needsTerminal(t)) return
    const body = `
      const progress = startProgress({ label: 'tasks', total: 3, enabled: false })
      progress.add(3)
      progress.stop()`
    assert.equal(run(body, { terminal: true }).stdout, '{"held":[],"listeners":0}')
  })

  it('prints nothing if stderr is not a terminal', () => {
    const body = `
      const progress = startProgress({ label: 'tasks', total: 3, enabled: true })
      progress.add(3)
      progress.stop()`
    const { stdout, stderr } = run(body, { terminal: false })
    assert.equal(stderr, '')
    assert.equal(stdout, '{"held":[],"listeners":0}')
  })

  it('keeps counts and ETA at 38 columns, and treats a width of 0 as unknown', t => {
    if (!needsTerminal(t)) return
    const body = `
      const progress = startProgress({ label: 'Inserting', total: 1000000, enabled: true })
      progress.add(250000)
      progress.stop()`
    assert.match(run(body, { terminal: true, columns: 38 }).stdout, /Inserting 250000\/1000000 \| ETA \d+s\r?\n/)
    const wide = run(body.replace('Inserting', 'tasks'), { terminal: true, columns: 0 })
    assert.match(wide.stdout, /\[={6}-{18}\] 25% \| 250000\/1000000/)
  })

  it('keeps a line of its own below the output of the process', t => {
    if (!needsTerminal(t)) return
    const body = `
      const progress = startProgress({ label: 'tasks', total: 2, enabled: true })
      console.log('from console.log')
      progress.add(1)
      process.stderr.write('half a line')
      const until = performance.now() + 250
      while (performance.now() < until) progress.add(0)
      process.stderr.write(' and its end\\n')
      progress.add(1)
      progress.stop()
      console.log('after the end')`
    const screen = screenOf(run(body, { terminal: true }).stdout)
    assert.deepEqual(screen.slice(0, 2), ['from console.log', 'half a line and its end'])
    assert.match(screen[2] ?? '', /^tasks \[={24}\] 100% \| 2\/2 /)
    assert.equal(screen[3], 'after the end')
  })
})

/** The lines that a terminal shows in the end, after carriage returns and erasures. */
function screenOf(output: string): string[] {
  const lines = ['']
  let column = 0
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escapes are what this is about
  for (const [part] of output.matchAll(/\x1b\[2K|\x1b\[G|\r|\n|[^\x1b\r\n]/g)) {
    const last = lines.length - 1
    if (part === '\n') {
      lines.push('')
      column = 0
    } else if (part === '\r' || part === '\x1b[G') column = 0
    else if (part === '\x1b[2K') lines[last] = ''
    else {
      const line = (lines[last] ?? '').padEnd(column)
      lines[last] = line.slice(0, column) + part + line.slice(column + 1)
      column++
    }
  }
  return lines
}
