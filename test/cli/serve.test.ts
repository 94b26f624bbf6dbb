// `ptq serve` as a process.
import assert from 'node:assert/strict'
import { get } from 'node:http'
import { createServer } from 'node:net'
import { after, test } from 'node:test'
import { ended, inFolder, outputOf, runCli, startCli } from './run-cli.js'

interface Answer {
  readonly status: number | undefined
  readonly cookie: string | undefined
  readonly text: string
}

function ask(url: string, cookie = ''): Promise<Answer> {
  return new Promise((resolve, reject) => {
    get(url, { headers: { Cookie: cookie } }, response => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part
      })
      const [first] = response.headers['set-cookie'] ?? []
      response.on('end', () => resolve({ status: response.statusCode, cookie: first?.split(';', 1)[0], text }))
    }).on('error', reject)
  })
}

/** Starts `ptq serve`; resolves when it has printed its link. */
async function serve(folder: string, ...args: string[]) {
  const child = startCli(['serve', ...args], { cwd: folder })
  // Where a test has failed.
  after(() => child.kill('SIGKILL'))
  const end = ended(child)
  let printed = ''
  child.stdout.on('data', text => {
    printed += text
  })
  await outputOf(child, 'Ctrl-C ends the page')
  const link = /^Open (http:\/\/127\.0\.0\.1:\d+\/\?token=[\w-]+)$/m.exec(printed)?.[1]
  assert.ok(link !== undefined, printed)
  return { child, end, link, url: link.slice(0, link.indexOf('?')) }
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test(`serve prints a link that signs in once, and the next one, also for a queue that is still to come; ${signal} ends it`, () =>
    inFolder(async folder => {
      const { child, end, link, url } = await serve(folder, 'queue', '--port', '0')
      assert.equal((await ask(url)).status, 401)
      const next = outputOf(child, 'For another one: ')
      const { status, cookie } = await ask(link)
      assert.equal(status, 200)
      await next
      assert.equal((await ask(link)).status, 401)
      const { text } = await ask(`${url}queues`, cookie)
      assert.deepEqual(JSON.parse(text), {
        actions: false,
        queues: [{ url: `fq://${folder}/queue`, name: 'queue' }],
      })
      const stream = get(`${url}events`, { headers: { Cookie: cookie } })
      stream.on('error', () => undefined)
      await new Promise(resolve => stream.once('response', response => response.once('data', resolve)))
      child.kill(signal)
      const { code, stderr } = await end
      stream.destroy()
      assert.deepEqual([code, stderr], [signal === 'SIGINT' ? 130 : 143, ''])
    }))
}

test('serve takes another port where its own is taken; one that was asked for is refused', () =>
  inFolder(async folder => {
    const taken = createServer()
    await new Promise<void>(resolve => {
      // Where others have taken it, it is taken as well.
      taken.once('error', () => resolve()).listen(4747, '127.0.0.1', resolve)
    })
    const { child, end, link } = await serve(folder, 'queue')
    assert.notEqual(new URL(link).port, '4747')
    const { port } = new URL(link)
    const second = await runCli(['serve', 'queue', '--port', port], { cwd: folder })
    assert.deepEqual([second.code, second.stdout], [2, ''])
    assert.match(
      second.stderr,
      new RegExp(`^ptq: Expected --host and --port to be free, got 127\\.0\\.0\\.1 port ${port}`),
    )
    child.kill('SIGINT')
    await end
    await new Promise(resolve => taken.close(resolve))
  }))
