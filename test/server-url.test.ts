import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { formatQueueUrl, parseQueueUrl } from '#ptq/backend/queue-url.js'
import { parseServerUrl, siblingUrl, withPassword, withPasswordOf } from '#ptq/backend/server-url.js'

const parse = (text: string) => parseQueueUrl(text, { cwd: '/', home: '/' })

describe('URLs of queues on a server', () => {
  it('are split into their parts', () => {
    const plain = { user: '', password: undefined, host: '', port: undefined, database: '', parameters: new Map() }
    const table: [text: string, expected: object][] = [
      ['postgres://?queue=jobs', { protocol: 'postgres', queue: 'jobs' }],
      ['postgres:///app?queue=a/b.c_d-1', { protocol: 'postgres', database: 'app', queue: 'a/b.c_d-1' }],
      ['PostgreSQL://h?queue=jobs', { protocol: 'postgresql', host: 'h', queue: 'jobs' }],
      [
        'postgres://ada:p%40ss%2F@[::1]:5433/my%20db?sslmode=require&queue=jobs',
        {
          protocol: 'postgres',
          user: 'ada',
          password: 'p@ss/',
          host: '::1',
          port: 5433,
          database: 'my db',
          queue: 'jobs',
          parameters: new Map([['sslmode', 'require']]),
        },
      ],
      ['postgres://%2Fvar%2Frun/app?queue=q', { protocol: 'postgres', host: '/var/run', database: 'app', queue: 'q' }],
    ]
    for (const [text, expected] of table) assert.deepEqual(parseServerUrl(parse(text)), { ...plain, ...expected }, text)
  })

  it('are printed without the password', () => {
    const table: [text: string, printed: string][] = [
      ['postgres://ada:hunter2@h/db?queue=q', 'postgres://ada@h/db?queue=q'],
      ['postgres://:hunter2@h/db?queue=q', 'postgres://h/db?queue=q'],
      ['postgres://ada:hun@ter2@h?queue=q@r:s', 'postgres://ada@h?queue=q@r:s'],
      ['postgres://h:5432/a:b@c?queue=q', 'postgres://h:5432/a:b@c?queue=q'],
    ]
    for (const [text, printed] of table) {
      assert.equal(formatQueueUrl(parse(text)), printed)
      assert.equal(`postgres://${withPassword(parse(text))}`, text)
    }
  })

  it('that are invalid are refused with the reason, and without the password', () => {
    const table: [text: string, problem: RegExp][] = [
      ['postgres://ada:hunter2@h/db', /names the queue on the server with `\?queue=`.*`postgres:\/\/user@host:5432/],
      ['postgres://ada:hunter2@h/db?queue=', /one `queue=`, a name of up to 100/],
      ['postgres://ada:hunter2@h/db?queue=a&queue=b', /one `queue=`/],
      ['postgres://ada:hunter2@h/db?queue=a%20b', /one `queue=`/],
      [`postgres://ada:hunter2@h/db?queue=${'q'.repeat(101)}`, /one `queue=`/],
      [`postgres://ada:hunter2@h/db?queue=${'q'.repeat(101)}/failed`, /one `queue=`/],
      ['postgres://ada:hunter2@h/db?queue=q#x', /without `#`/],
      ['postgres://ada:hunter2@h:port/db?queue=q', /the URL of a queue in PostgreSQL, such as/],
      ['postgres://ada:hunter2/%zz@h/db?queue=q', /in a user name or password as %XX/],
      ['postgres://ada:%zzhunter2@h/db?queue=q', /in a user name or password as %XX/],
      ['postgres://ada@h/db?password=hunter2&queue=q', /before the host, or in the environment/],
    ]
    for (const [text, problem] of table) {
      assert.throws(
        () => parseServerUrl(parse(text)),
        (error: unknown) => {
          assert.ok(error instanceof TypeError)
          assert.match(error.message, problem, text)
          assert.doesNotMatch(inspect(error, { depth: null }), /hunter2/, text)
          return true
        },
      )
    }
  })

  it('of the longest name have a dead-letter queue, which has one, too', () => {
    const name = 'q'.repeat(100)
    for (const queue of [name, `${name}/failed`, `${name}/failed/failed`]) {
      assert.equal(parseServerUrl(parse(siblingUrl(parse('redis://h?queue=q'), queue))).queue, queue)
    }
  })

  it('name another queue on the same server, with the same password', () => {
    const url = parse('postgres://ada:hunter2@h/db?queue=jobs&sslmode=require')
    const other = siblingUrl(url, 'jobs/failed')
    assert.equal(other, 'postgres://ada@h/db?sslmode=require&queue=jobs/failed')
    assert.equal(withPasswordOf(parse(other), url).password, 'hunter2')
    assert.equal(withPasswordOf(parse('postgresql://ada@h/other?queue=q'), url).password, 'hunter2')
    for (const stranger of ['postgres://bob@h/db?queue=q', 'postgres://ada@h2/db?queue=q', 'sqs://q']) {
      assert.equal(withPasswordOf(parse(stranger), url).password, undefined, stranger)
    }
    assert.equal(withPasswordOf(parse('postgres://ada:own@h/db?queue=q'), url).password, 'own')
  })

  it('preserve any password', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z%@]*$/), fc.stringMatching(/^[^/?#]*$/), (user, password) => {
        const rest = `${user}:${password}@host/db?queue=q`
        const url = parse(`postgres://${rest}`)
        assert.equal(withPassword(url), rest)
      }),
    )
  })
})
