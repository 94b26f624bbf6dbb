import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { queueable, TaskQueue, UnregisteredTaskError } from 'ptq'
import { open } from '#ptq/backends/fq/index.js'
import { inFolder } from '../fq/folder.js'

/** Clears the screen, sets the title, rings the bell, turns the direction of writing. */
const HOSTILE = '\u001b[2J\u001b]0;title\u0007\r\n\u009b31m\u202ebad'

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not reach a terminal
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/

queueable(
  function fails() {
    throw new RangeError(`it fails ${HOSTILE}`)
  },
  { module: `hostile${HOSTILE}`, name: `name${HOSTILE}` },
)

/** All that this process prints or warns during the test. */
function listen(t: TestContext): string[] {
  const said: string[] = []
  t.mock.method(console, 'log', (...values: unknown[]) => said.push(values.join(' ')))
  t.mock.method(process, 'emitWarning', (warning: unknown) => said.push(String(warning)))
  return said
}

function requirePlain(texts: readonly string[]): void {
  assert.ok(texts.length > 0)
  for (const text of texts) assert.doesNotMatch(text, CONTROL)
}

async function insertText(path: string, body: (id: string) => string): Promise<void> {
  const id = randomUUID()
  const queue = await open({ protocol: 'fq', path })
  assert.deepEqual(await queue.insert([{ id, body: body(id) }], { delaySeconds: 0 }), [])
  await queue.close()
}

test('control characters in names, reasons and invalid messages do not reach the terminal', t =>
  inFolder(async folder => {
    const path = join(folder, 'queue')
    const hostile = JSON.stringify(HOSTILE).slice(1, -1)
    const envelope = (payload: string) => (id: string) => `{"payload": ${payload}, "queueName": "q", "id": "${id}"}`
    await insertText(path, envelope(`[["hostile${hostile}", "name${hostile}"], [], {}, -1]`))
    await insertText(path, envelope(`[["nowhere${hostile}", "name${hostile}"], [], {}, -1]`))
    await insertText(path, envelope(`{"class": "Nothing${hostile}"}`))
    await insertText(path, () => `no JSON ${HOSTILE}`)
    await insertText(path, () => `{"payl${hostile}oad": 1}`)
    const said = listen(t)
    await using tq = new TaskQueue(`fq://${path}`, { progress: false })
    const poll = {
      parallel: 0,
      verbose: true,
      minBackoffSeconds: 0.01,
      maxBackoffSeconds: 0.01,
      maxAttempts: 1,
    } as const
    let looks = 0
    await tq.poll({ ...poll, stopFn: ({ tries }) => tries > 0 && ++looks > 3 })
    requirePlain(said)
    assert.ok(said.some(line => line.includes('raised RangeError: it fails')))
    assert.ok(said.some(line => line.includes('is no task')))
    let letters = 0
    for await (const letter of tq.failures()) {
      letters++
      requirePlain(letter.failures.map(({ reason }) => reason))
      await assert.rejects(
        async () => letter.execute(),
        (error: Error) => {
          if (error instanceof UnregisteredTaskError) requirePlain([error.message])
          return true
        },
      )
    }
    assert.equal(letters, 3)
  }))

test('a forged history in a dead letter is shown without control characters', () =>
  inFolder(async folder => {
    const path = join(folder, 'queue')
    const failure = { attempt: 1, reason: HOSTILE, host: HOSTILE, pid: 1, failedAtMs: 0, durationSeconds: 0 }
    await insertText(path, id => `{"payload": {"class": "X"}, "queueName": "q", "id": "${id}"}`)
    await insertText(
      join(path, 'failed'),
      id => `{"payload": {"class": "X"}, "queueName": "q", "id": "${id}", "failures": ${JSON.stringify([failure])}}`,
    )
    await using tq = new TaskQueue(`fq://${path}`, { progress: false })
    for await (const { failures } of tq.failures()) requirePlain(failures.flatMap(({ reason, host }) => [reason, host]))
  }))
