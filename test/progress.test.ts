import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'

const ROOT = join(import.meta.dirname, '../..')

/** Runs `body` in a process of its own; returns when nothing keeps that process alive. */
function run(body: string, { terminal }: { terminal: boolean }) {
  const program = `
    import { createRequire } from 'node:module'
    import { startProgress } from '#ptq/progress/progress.js'
    ${body}
    const loaded = Object.keys(createRequire(process.cwd() + '/').cache).some(path => path.includes('cli-progress'))
    const held = process.getActiveResourcesInfo().filter(name => name === 'Timeout')
    process.stdout.write(JSON.stringify({ loaded, held, listeners: process.listenerCount('SIGINT') }))`
  const node = [process.execPath, '--input-type=module', '--eval', program]
  const quoted = node.map(part => `'${part.replaceAll("'", "'\\''")}'`).join(' ')
  const [command, ...args] = terminal ? ['script', '-qec', `stty cols 100; ${quoted}`, '/dev/null'] : node
  return spawnSync(command ?? '', args, { cwd: ROOT, encoding: 'utf8', timeout: 60_000 })
}

/** `script` of util-linux gives a process a real terminal. Elsewhere (macOS has another `script`) we say what is not tested. */
function needsTerminal(t: TestContext): boolean {
  const found = spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux') ?? false
  if (!found) {
    assert.ok(!process.env.CI, '`script` of util-linux is needed to test the progress bar on a terminal')
    t.skip('no `script` of util-linux here: the progress bar was NOT tested on a terminal')
  }
  return found
}

describe('startProgress', () => {
  it('draws a bar with rate and ETA on a terminal, and leaves nothing behind', t => {
    if (!needsTerminal(t)) return
    const body = `
      const progress = startProgress({ label: 'tasks', total: 8, enabled: true })
      let drawn = false
      const write = process.stderr.write
      process.stderr.write = text => { drawn ||= text.includes(' 2/8 '); return write.call(process.stderr, text) }
      progress.add(2)
      while (!drawn) progress.add(0) // tasks that leave the event loop no turn
      progress.add(6)
      progress.stop()
      progress.stop()
      progress.add(1)`
    const { stdout, status } = run(body, { terminal: true })
    assert.equal(status, 0)
    assert.match(stdout, /tasks \[-{24}\] 0% \| 0\/8 \| 0\.0\/s \| ETA \?/)
    assert.match(stdout, /tasks \[={6}-{18}\] 25% \| 2\/8 \| [\d.]+\/s \| ETA \d+s/)
    assert.match(stdout, /tasks \[={24}\] 100% \| 8\/8 \| [\d.]+\/s \| ETA 0s/)
    assert.match(stdout, /\{"loaded":true,"held":\[\],"listeners":0\}$/)
    // Moves within the line and erases in it (G, K): nothing that a killed process would leave changed.
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escapes are what this is about
    const escapes = stdout.match(/\x1b(?:\[[?\d;]*[A-Za-z]|.)/g) ?? []
    assert.deepEqual([...new Set(escapes.map(sequence => sequence.at(-1)))].sort(), ['G', 'K'])
  })

  it('draws a counter with the rate where the total is unknown', t => {
    if (!needsTerminal(t)) return
    const body = `
      const progress = startProgress({ label: 'tasks', total: undefined, enabled: true })
      progress.add(1234)
      progress.stop()`
    const { stdout } = run(body, { terminal: true })
    assert.match(stdout, /tasks 1234 \| \d+\/s \| 1s/)
    assert.doesNotMatch(stdout, /%|ETA/)
  })

  it('prints and loads nothing when it is off', t => {
    if (!needsTerminal(t)) return
    const body = `
      const progress = startProgress({ label: 'tasks', total: 3, enabled: false })
      progress.add(3)
      progress.stop()`
    assert.equal(run(body, { terminal: true }).stdout, '{"loaded":false,"held":[],"listeners":0}')
  })

  it('prints and loads nothing where stderr is no terminal', () => {
    const body = `
      const progress = startProgress({ label: 'tasks', total: 3, enabled: true })
      progress.add(3)
      progress.stop()`
    const { stdout, stderr } = run(body, { terminal: false })
    assert.equal(stderr, '')
    assert.equal(stdout, '{"loaded":false,"held":[],"listeners":0}')
  })
})
