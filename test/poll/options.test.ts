import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, it } from 'node:test'
import { type PollOptions, partial, TaskQueue } from 'ptq'
import { pollSettings } from '#ptq/poll/poll-options.js'
import { noop } from './tasks.js'

/** Invalid options and their errors. */
const wrong: [options: object, message: string][] = [
  [{ leaseSeconds: 0 }, 'Expected `leaseSeconds` to be a number above 0, got `0` (number)'],
  [{ leaseSeconds: Number.NaN }, 'Expected `leaseSeconds` to be a number above 0, got `NaN` (number)'],
  [{ leaseSeconds: '60' }, "Expected `leaseSeconds` to be a number above 0, got `'60'` (string)"],
  [{ parallel: -1 }, 'Expected `parallel` to be an integer of 0 or more, or true for all cores, got `-1` (number)'],
  [{ parallel: 1.5 }, 'Expected `parallel` to be an integer of 0 or more, or true for all cores, got `1.5` (number)'],
  [
    { parallel: false },
    'Expected `parallel` to be an integer of 0 or more, or true for all cores, got `false` (boolean)',
  ],
  [{ verbose: 1 }, 'Expected `verbose` to be true or false, got `1` (number)'],
  [{ tally: 'yes' }, "Expected `tally` to be true or false, got `'yes'` (string)"],
  [{ stopFn: true }, 'Expected `stopFn` to be a function, got `true` (boolean)'],
  [{ beforeFn: 'x' }, "Expected `beforeFn` to be a function, got `'x'` (string)"],
  [{ afterFn: {} }, 'Expected `afterFn` to be a function, got `{}` (object)'],
  [{ executeArgs: 'x' }, "Expected `executeArgs` to be an array, got `'x'` (string)"],
  [
    { executeArgs: [() => 1] },
    'Expected `executeArgs` to be values that can be cloned into a thread (with `parallel: 0` they may be any), got `[ [Function (anonymous)] ]` (array)',
  ],
  [{ backoffExceptions: Error }, 'Expected `backoffExceptions` to be an array, got `[Function: Error]'],
  [
    { backoffExceptions: [() => 1] },
    'Expected `backoffExceptions` to be an array of classes of errors, or their names, got `[Function (anonymous)]` (function)',
  ],
  [
    { backoffExceptions: [Map] },
    'Expected `backoffExceptions` to be an array of classes of errors, or their names, got `[Function: Map]` (function)',
  ],
  [{ minBackoffSeconds: 0 }, 'Expected `minBackoffSeconds` to be a number above 0, got `0` (number)'],
  [
    { maxBackoffSeconds: Number.POSITIVE_INFINITY },
    'Expected `maxBackoffSeconds` to be a number above 0, got `Infinity` (number)',
  ],
  [{ maxBackoffSeconds: 0.5 }, 'Expected `maxBackoffSeconds` to be at least minBackoffSeconds (1), got `0.5` (number)'],
  [
    { minBackoffSeconds: 1, minBackoffWindow: 1 },
    'Expected `minBackoffSeconds` or `minBackoffWindow`, its former name, got both',
  ],
  [
    { maxBackoffSeconds: 9, maxBackoffWindow: 8 },
    'Expected `maxBackoffSeconds` or `maxBackoffWindow`, its former name, got both',
  ],
  [{ maxBackoffWindow: 0 }, 'Expected `maxBackoffWindow` to be a number above 0, got `0` (number)'],
  [{ signal: {} }, 'Expected `signal` to be an AbortSignal, got `{}` (object)'],
  [{ timeoutSeconds: -1 }, 'Expected `timeoutSeconds` to be a number above 0, got `-1` (number)'],
  [{ maxMemoryMb: 0 }, 'Expected `maxMemoryMb` to be a number above 0, got `0` (number)'],
  [
    { parallel: 0, timeoutSeconds: 1 },
    'Expected `parallel` of 1 or more with timeoutSeconds or maxMemoryMb: only a thread can be stopped',
  ],
  [
    { parallel: 0, maxMemoryMb: 1 },
    'Expected `parallel` of 1 or more with timeoutSeconds or maxMemoryMb: only a thread can be stopped',
  ],
  [{ maxAttempts: 0 }, 'Expected `maxAttempts` to be an integer of 1 or more, got `0` (number)'],
  [{ maxAttempts: 2.5 }, 'Expected `maxAttempts` to be an integer of 1 or more, got `2.5` (number)'],
  [{ deadLetter: 5 }, 'Expected `deadLetter` to be the URL of a queue, got `5` (number)'],
  [{ deadLetter: 'nowhere://x' }, "Expected a queue's protocol to be one of fq://, mem://,"],
  [{ onError: 'ignore' }, "Expected `onError` to be 'retry' or 'throw', got `'ignore'` (string)"],
  [{ untilEmpty: 'yes' }, "Expected `untilEmpty` to be true or false, got `'yes'` (string)"],
  [{ graceSeconds: -1 }, 'Expected `graceSeconds` to be a finite number of 0 or more, got `-1` (number)'],
  [
    { graceSeconds: Number.POSITIVE_INFINITY },
    'Expected `graceSeconds` to be a finite number of 0 or more, got `Infinity` (number)',
  ],
  [{ graceSeconds: Number.NaN }, 'Expected `graceSeconds` to be a finite number of 0 or more, got `NaN` (number)'],
  [{ until: '2030-01-01' }, "Expected `until` to be a valid Date, got `'2030-01-01'` (string)"],
  [{ until: new Date(Number.NaN) }, 'Expected `until` to be a valid Date, got `Invalid Date` (object)'],
  [{ leaseSecond: 5 }, 'Expected options of poll to be among leaseSeconds, '],
  [{ deadLetter: '/dev/null' }, 'Expected the folder of a queue at /dev/null, found a file.'],
]

describe('the options of poll', () => {
  for (const [options, message] of wrong) {
    it(`are refused before anything is leased: ${message.slice(0, 70)}`, async () => {
      await using tq = new TaskQueue(`mem://${randomUUID()}`, { progress: false })
      await tq.insert([partial(noop, 1)])
      let leased = 0
      tq.events.on('leased', () => leased++)
      await assert.rejects(tq.poll({ untilEmpty: true, ...options } as PollOptions), error => {
        assert.ok(error instanceof Error)
        assert.ok(error.message.startsWith(message), error.message)
        return true
      })
      assert.equal(leased, 0)
      await tq.purge()
    })
  }

  it('are refused with the name that was probably meant, like those of other verbs', async () => {
    await using tq = new TaskQueue(`mem://${randomUUID()}`, { progress: false })
    await assert.rejects(
      tq.poll(JSON.parse('{"maxBackofSeconds": 1}')),
      /, got `maxBackofSeconds`\. Did you mean `maxBackoffSeconds`\?$/,
    )
    await assert.rejects(tq.lease(JSON.parse('{"second": 1}')), /, got `second`\. Did you mean `seconds`\?$/)
  })

  it('are accepted under their former names', () => {
    const { minBackoffSeconds, maxBackoffSeconds } = pollSettings({ minBackoffWindow: 3, maxBackoffWindow: 5 })
    assert.deepEqual([minBackoffSeconds, maxBackoffSeconds], [3, 5])
  })

  it('are refused if the queue cannot hold such a lease', async () => {
    await using tq = new TaskQueue('/tmp/ptq-poll-never-made', { progress: false })
    await assert.rejects(
      tq.poll({ leaseSeconds: 1e12 }),
      /Expected `leaseSeconds` to be at most \d+ seconds, the limit of fq:/,
    )
  })

  it('are refused if they are null or an array', async () => {
    await using tq = new TaskQueue(`mem://${randomUUID()}`, { progress: false })
    await assert.rejects(tq.poll(JSON.parse('null')), /Expected `options of poll` to be an object, got `null` \(null\)/)
    await assert.rejects(tq.poll(JSON.parse('[]')), /Expected `options of poll` to be an object, got `\[\]` \(array\)/)
  })

  it('end the worker if stopFn returns no boolean', async () => {
    await using tq = new TaskQueue(`mem://${randomUUID()}`, { progress: false })
    const stopFn = (async () => true) as unknown as () => boolean
    await assert.rejects(
      tq.poll({ stopFn }),
      /^TypeError: Expected `stopFn` to be a function that returns true or false, got/,
    )
  })
})
