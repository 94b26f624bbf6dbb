// What an attacker may try: requests as no browser of ours sends them.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { get } from 'node:http'
import { describe, it } from 'node:test'
import { TaskQueue } from 'ptq'
import { type DashboardOptions, dashboard } from 'ptq/dashboard'
import { type Answer, Served } from './served.js'

const reading = [
  '/',
  '/page.js',
  '/queues',
  '/events',
  '/failures?queue=0',
  '/tasks?queue=0&state=ready',
  '/task?queue=0&id=1',
]

function memQueue(): TaskQueue {
  return new TaskQueue(`mem://${randomUUID()}`, { progress: false })
}

async function withPage(
  options: DashboardOptions,
  work: (served: Served, cookie: string, queue: TaskQueue) => Promise<void>,
): Promise<void> {
  await using queue = memQueue()
  await using served = await Served.start(queue, options)
  await work(served, await served.signIn(), queue)
}

describe('access to the page', () => {
  it('nothing is shown without a session, and a link works once', () =>
    withPage({}, async served => {
      for (const path of reading) {
        const { status, text } = await served.ask(path)
        assert.deepEqual([path, status], [path, 401])
        assert.doesNotMatch(text, /mem:/)
      }
      for (const cookie of ['', `ptq-${served.port}=`, `ptq-${served.port}=${'A'.repeat(43)}`, 'x=y']) {
        assert.equal((await served.ask('/queues', { headers: { Cookie: cookie } })).status, 401)
      }
      const link = served.page.newLink()
      for (const method of ['HEAD', 'POST']) {
        assert.equal((await served.ask(`/${link}`, { method })).status, 401, `${method} uses a link up`)
      }
      const { status, headers } = await served.ask(`/${link}`)
      assert.equal(status, 200)
      assert.match(headers['set-cookie']?.[0] ?? '', /^ptq-\d+=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/)
      assert.equal((await served.ask(`/${link}`)).status, 401)
      assert.equal((await served.ask('/?token=')).status, 401)
      assert.equal((await served.ask('/?token=guessed')).status, 401)
    }))

  it('a signed-in browser sees every part; each answer has a policy that allows no script but the page’s own', () =>
    withPage({}, async (served, cookie) => {
      for (const path of reading.filter(each => !/events|task\?/.test(each))) {
        const { status, headers } = await served.ask(path, { headers: { Cookie: cookie } })
        assert.deepEqual([path, status], [path, 200])
        const policy = String(headers['content-security-policy'])
        assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';/)
        assert.doesNotMatch(policy, /unsafe|\*|http/)
        assert.match(policy, /frame-ancestors 'none'/)
        assert.deepEqual(
          [headers['x-content-type-options'], headers['x-frame-options'], headers['referrer-policy']],
          ['nosniff', 'DENY', 'no-referrer'],
        )
        assert.equal(headers['access-control-allow-origin'], undefined)
      }
      assert.equal((await served.ask('/../package.json', { headers: { Cookie: cookie } })).status, 404)
      assert.equal((await served.ask('/%2e%2e/package.json', { headers: { Cookie: cookie } })).status, 404)
      assert.equal((await served.ask('/queues', { method: 'POST', headers: { Cookie: cookie } })).status, 405)
      assert.equal((await served.ask('http://[', { headers: { Cookie: cookie } })).status, 400)
    }))

  it('a page under another name is refused, also with a session: its name was pointed at this machine', () =>
    withPage({}, async (served, cookie) => {
      for (const path of [...reading, '/metrics', `/${served.page.newLink()}`]) {
        for (const host of [`evil.example:${served.port}`, 'evil.example', `localhost.evil.example:${served.port}`]) {
          const { status, headers } = await served.ask(path, { headers: { Cookie: cookie, Host: host } })
          assert.equal(status, 403, `${path} ${host}`)
          assert.equal(headers['set-cookie'], undefined)
        }
      }
      for (const host of [`localhost:${served.port}`, `LOCALHOST:${served.port}`, `[::1]:${served.port}`]) {
        assert.equal((await served.ask('/queues', { headers: { Cookie: cookie, Host: host } })).status, 200, host)
      }
    }))

  it('what a page of another origin asks for is refused, but for a link to the page', () =>
    withPage({}, async (served, cookie) => {
      for (const site of ['cross-site', 'same-site']) {
        for (const path of [...reading.slice(1), '/metrics']) {
          for (const mode of ['no-cors', 'cors', 'navigate']) {
            const headers = { Cookie: cookie, 'Sec-Fetch-Site': site, 'Sec-Fetch-Mode': mode }
            assert.equal((await served.ask(path, { headers })).status, 403, `${path} ${site} ${mode}`)
          }
        }
        const headers = { Cookie: cookie, 'Sec-Fetch-Site': site }
        assert.equal((await served.ask('/', { headers: { ...headers, 'Sec-Fetch-Mode': 'navigate' } })).status, 200)
        assert.equal((await served.ask('/', { headers: { ...headers, 'Sec-Fetch-Mode': 'no-cors' } })).status, 403)
      }
    }))

  it('without actions nothing can be changed', () =>
    withPage({}, async (served, cookie, queue) => {
      for (const action of ['insert', 'retry', 'release', 'purge']) {
        const body = { lines: '{"class":"X"}', confirm: queue.url }
        const { status, text } = await served.act(`/do/${action}?queue=0`, cookie, body)
        assert.equal(status, 403)
        assert.match(text, /--actions/)
      }
      assert.equal(await queue.enqueued(), 0)
    }))

  it('with actions, only the page itself can ask for them', () =>
    withPage({ actions: true }, async (served, cookie, queue) => {
      const good = {
        Cookie: cookie,
        Origin: `http://127.0.0.1:${served.port}`,
        'Content-Type': 'application/json',
        'Sec-Fetch-Site': 'same-origin',
      }
      const post = (headers: Record<string, string | undefined>, method = 'POST'): Promise<Answer> =>
        served.ask('/do/insert?queue=0', {
          method,
          headers: Object.fromEntries(
            Object.entries({ ...good, ...headers }).filter(([, value]) => value !== undefined),
          ),
          body: JSON.stringify({ lines: '{"class":"X"}' }),
        })
      const refused: readonly (readonly [Record<string, string | undefined>, number])[] = [
        [{ Cookie: undefined }, 401],
        [{ Origin: undefined }, 403],
        [{ Origin: 'null' }, 403],
        [{ Origin: 'https://evil.example' }, 403],
        [{ Origin: `http://127.0.0.1:${served.port + 1}` }, 403],
        [{ Origin: `http://127.0.0.1.evil.example:${served.port}` }, 403],
        [{ 'Sec-Fetch-Site': 'cross-site' }, 403],
        [{ 'Sec-Fetch-Site': 'same-site' }, 403],
        [{ Host: `evil.example:${served.port}`, Origin: `http://evil.example:${served.port}` }, 403],
        [{ 'Content-Type': 'text/plain' }, 415],
        [{ 'Content-Type': 'application/x-www-form-urlencoded' }, 415],
        [{ 'Content-Type': 'application/jsonp' }, 415],
      ]
      for (const [headers, status] of refused) {
        assert.deepEqual([headers, (await post(headers)).status], [headers, status])
      }
      assert.equal((await post({}, 'PUT')).status, 405)
      assert.equal(await queue.enqueued(), 0)
      assert.equal((await post({})).status, 200)
      assert.equal(await queue.enqueued(), 1)
      for (const name of ['constructor', '__proto__', 'nothing']) {
        assert.equal((await served.act(`/do/${name}?queue=0`, cookie, {})).status, 404)
      }
      assert.equal((await served.act('/do/insert?queue=7', cookie, {})).status, 404)
      assert.equal((await served.act('/do/insert?queue=0', cookie, { lines: 'x'.repeat(2 << 20) })).status, 413)
      assert.equal((await served.act('/do/purge?queue=0', cookie, { confirm: 'mem://other' })).status, 400)
      assert.equal(await queue.enqueued(), 1)
    }))

  it('people’s own servers decide by a function of theirs, under their own names', () =>
    withPage({ hosts: ['queues.example'], authorize: ({ headers }) => headers['x-user'] === 'ada' }, async served => {
      const host = { Host: `queues.example:${served.port}` }
      assert.equal((await served.ask('/queues', { headers: { ...host, 'X-User': 'ada' } })).status, 200)
      assert.equal((await served.ask('/queues', { headers: { ...host, 'X-User': 'eve' } })).status, 401)
      assert.equal((await served.ask('/queues', { headers: { 'X-User': 'ada' } })).status, 403)
    }))

  it('the page is found below any path, whether the server passes the path or cuts it off', async () => {
    await using queue = memQueue()
    await using served = await Served.start(queue, { path: '/admin/queues/' })
    const { status, headers } = await served.ask(`/admin/queues${served.page.newLink()}`)
    assert.deepEqual([status, headers.location?.split('?', 1)[0]], [308, './queues/'])
    const signedIn = await served.ask(`/admin/queues/${served.page.newLink()}`)
    const cookie = signedIn.headers['set-cookie']?.[0] ?? ''
    assert.match(cookie, /; Path=\/admin\/queues\/;/)
    const ask = (path: string) => served.ask(path, { headers: { Cookie: cookie.split(';', 1)[0] } })
    assert.equal((await ask('/admin/queues/page.js')).status, 200)
    assert.equal((await ask('/page.js')).status, 404)
    assert.equal((await ask('/admin/queuespage.js')).status, 404)
  })

  it('an option that is wrong is refused', () => {
    const queue = memQueue()
    assert.throws(() => dashboard(queue, { hosts: ['a:80'] }), /Expected `hosts` to be names without a port/)
    assert.throws(() => dashboard(queue, { path: 'x' }), /Expected `path` to be a path that begins with \//)
    assert.throws(() => dashboard(queue, { intervalSeconds: 0 }), /Expected `intervalSeconds`/)
    assert.throws(() => dashboard([{ queue, deadLetter: queue.url }]), /Expected `deadLetter` to be another queue/)
    assert.throws(() => dashboard([{ queue, deadLetter: 'dead' }]), /Expected/)
    assert.throws(() => dashboard([{} as never]), /Expected `queues` to be TaskQueues/)
    assert.throws(() => dashboard(queue, { action: true } as never), /action/)
  })

  it('/metrics needs no session, and has numbers and the queue’s name only', async () => {
    await using queue = memQueue()
    await queue.insert([{ class: 'Secret', value: 'hidden' }])
    await using served = await Served.start(queue)
    let text = ''
    do text = (await served.ask('/metrics')).text
    while (!/^ptq_queue_messages\{queue="mem:\S+",state="ready"\} 1$/m.test(text))
    assert.doesNotMatch(text, /Secret|hidden/)
  })

  it('a stream that is left is ended', () =>
    withPage({}, async (served, cookie) => {
      await new Promise<void>((resolve, reject) => {
        const sent = get(`${served.url}events`, { headers: { Cookie: cookie } }, response => {
          response.once('data', () => {
            sent.destroy()
            resolve()
          })
        })
        sent.once('error', reject)
      })
    }))
})
