import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import { type BackendOpener, type QueueUrl, registerBackend, TaskQueue, UnsupportedProtocolError } from 'ptq'
import { opener as memOpener } from '#ptq/backends/mem/index.js'

let protocols = 0

/** A registered protocol whose queues are queues in memory. */
function countingProtocol(beforeOpen: () => Promise<void> = async () => undefined) {
  const protocol = `counting${++protocols}`
  const seen = { protocol, opened: 0, closed: 0, options: [] as unknown[] }
  const opener: BackendOpener = {
    async open(url, options) {
      seen.opened += 1
      seen.options.push(options)
      await beforeOpen()
      const backend = await memOpener.open({ protocol: 'mem', path: `${protocol}/${url.path}` }, {})
      return new Proxy(backend, {
        get(target, key) {
          if (key === 'close') seen.closed += 1
          const value: unknown = Reflect.get(target, key)
          return typeof value === 'function' ? value.bind(target) : value
        },
      })
    },
  }
  registerBackend(protocol, opener)
  return seen
}

describe('a backend', () => {
  it('is opened once by concurrent first calls', async () => {
    const seen = countingProtocol()
    const tq = new TaskQueue(`${seen.protocol}://q`, { region: 'eu-central-1' })
    assert.equal(seen.opened, 0)
    await Promise.all([tq.enqueued(), tq.isEmpty(), tq.insert({ class: 'A' }), tq.list()])
    assert.equal(seen.opened, 1)
    assert.deepEqual(seen.options, [{ region: 'eu-central-1', concurrency: 40 }])
    await tq.purge()
    await tq.close()
    assert.equal(seen.closed, 1)
  })

  it('whose open failed is opened again by the next call', async () => {
    let fails = 2
    const seen = countingProtocol(async () => {
      if (fails-- > 0) throw new Error('no such region')
    })
    const tq = new TaskQueue(`${seen.protocol}://q`)
    const both = await Promise.allSettled([tq.enqueued(), tq.enqueued()])
    for (const result of both) assert.match(String(result.status === 'rejected' && result.reason), /no such region/)
    assert.equal(seen.opened, 1)
    await assert.rejects(tq.enqueued(), /no such region/)
    assert.equal(await tq.enqueued(), 0)
    assert.equal(seen.opened, 3)
    await tq.close()
  })

  it('is refused after close, and neither reopened nor closed again', async () => {
    const seen = countingProtocol()
    const url = `${seen.protocol}://q`
    const tq = new TaskQueue(url)
    await tq.enqueued()
    await Promise.all([tq.close(), tq.close()])
    await tq.close()
    await assert.rejects(tq.enqueued(), { message: `${url} was closed: open it with a new TaskQueue` })
    await assert.rejects(tq.insert({ class: 'A' }), /was closed/)
    await assert.rejects(tq.list(), /was closed/)
    assert.deepEqual([seen.opened, seen.closed], [1, 1])

    const unused = new TaskQueue(url)
    await unused.close()
    await assert.rejects(unused.enqueued(), /was closed/)
    assert.deepEqual([seen.opened, seen.closed], [1, 1])
  })

  it('whose open fails while the queue is closed leaves nothing to close', async () => {
    let fail: (error: Error) => void = () => undefined
    const seen = countingProtocol(
      () =>
        new Promise((_, reject) => {
          fail = reject
        }),
    )
    const tq = new TaskQueue(`${seen.protocol}://q`)
    const enqueued = tq.enqueued()
    const closed = tq.close()
    fail(new Error('too late'))
    await assert.rejects(enqueued, /too late/)
    await closed
    assert.equal(seen.closed, 0)
  })

  it('of an unknown protocol is refused by name, with the known protocols', () => {
    const { protocol } = countingProtocol()
    assert.throws(
      () => new TaskQueue('gopher://q'),
      (error: unknown) =>
        error instanceof UnsupportedProtocolError &&
        error.message.includes('`gopher://`') &&
        error.message.includes('mem://') &&
        error.message.includes(`${protocol}://`),
    )
  })

  it('of a registered server kind gets the URL as it was written, and its password is not shown', async () => {
    const urls: QueueUrl[] = []
    registerBackend('postgres', {
      open: async url => {
        urls.push(url)
        throw new Error('no server')
      },
    })
    await using tq = new TaskQueue('postgres://ada:hunter2@host/anything', { shards: 3 })
    assert.equal(tq.url, 'postgres://ada@host/anything')
    await assert.rejects(tq.status(), /no server/)
    assert.deepEqual(urls, [{ protocol: 'postgres', path: 'ada:hunter2@host/anything' }])
  })

  it('can only be registered under an unused name that is a valid protocol', () => {
    const opener: BackendOpener = { open: async () => assert.fail('not opened') }
    registerBackend('my-own.kind+1', opener)
    registerBackend('my-own.kind+1', opener)
    assert.throws(
      () => registerBackend('my-own.kind+1', { ...opener }),
      /one that is not registered with another opener/,
    )
    for (const name of ['', 'My', '1a', 'a:b', 'a b'])
      assert.throws(() => registerBackend(name, opener), /`protocol`/, name)
    for (const name of ['mem', 'https']) assert.throws(() => registerBackend(name, opener), /the library's own/, name)
    // @ts-expect-error an opener has a method `open`
    assert.throws(() => registerBackend('other', {}), /Expected `opener`/)
    // @ts-expect-error an opener has a method `open`
    assert.throws(() => registerBackend('other', null), /Expected `opener`/)
  })

  it('is loaded when a queue of its kind is opened; other backends are not loaded', async () => {
    const hooks = `
      import { writeSync } from 'node:fs'
      export async function load(url, context, next) { writeSync(1, url + '\\n'); return next(url, context) }`
    const script = `
      import { register } from 'node:module'
      register('data:text/javascript,' + encodeURIComponent(${JSON.stringify(hooks)}))
      const { TaskQueue } = await import('ptq')
      const tq = new TaskQueue('mem://q')
      console.log('opening')
      await tq.enqueued()
      await tq.close()`
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], {
      cwd: import.meta.dirname,
    })
    const [before, after] = stdout.split('opening\n')
    assert.match(before ?? '', /dist\/src\/index\.js/)
    assert.doesNotMatch(before ?? '', /\/backends\//)
    const loaded = after?.match(/\/backends\/\S+/g) ?? []
    assert.ok(loaded.length > 0 && loaded.every(file => file.startsWith('/backends/mem')), loaded.join())
    assert.doesNotMatch(stdout, /@aws-sdk/)
  })
})
