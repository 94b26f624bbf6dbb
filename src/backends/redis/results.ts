/**
 * The outcomes of runs: each run is a stream, whose key is that of `results` with the name of the run. Its entries have ids in the order
 * in which they were stored, so a reader continues behind the last one that it knows.
 */
import type { ResultPage, ResultSink } from '../../backend/result-sink.js'
import type { RedisQueue } from './queue.js'
import { Script } from './script.js'
import { layoutVersion } from './stored-messages.js'

/** Limits of one script. Bytes are counted as characters when records are sent. */
const appendedRecords = 250
const appendedBytes = 4_000_000
const readRecords = 1_000
const readBytes = 2_000_000

/** Records that are read at once, between looks at their length: a record may have a megabyte. */
const readStep = 4

/** Arguments: the run, then its records. The key of the run has the hash tag of the others. */
const appendScript = new Script(
  'once',
  `local stream = results .. ':' .. ARGV[4]
for i = 5, #ARGV do call('XADD', stream, '*', 'r', ARGV[i]) end
call('SADD', results, ARGV[4])
call('HSETNX', meta, 'layout', ${layoutVersion})
record('')
return {}
`,
)

/** Arguments: the run, the id of the last entry that was read or an empty text. Replies with the id of the last entry, then the records. */
const readScript = new Script(
  'repeatable',
  `local stream, last = results .. ':' .. ARGV[1], ARGV[2]
local reply, bytes, step = { last }, 0, ${readStep}
while #reply <= ${readRecords} and bytes < ${readBytes} do
  local entries = call('XRANGE', stream, last == '' and '-' or '(' .. last, '+', 'COUNT', step)
  for _, entry in ipairs(entries) do
    last = entry[1]
    bytes = bytes + #entry[2][2]
    reply[#reply + 1] = entry[2][2]
  end
  if #entries < step then break end
  -- As many as are as long as those so far.
  step = math.max(1, math.min(2 * step, math.floor((${readBytes} - bytes) * (#reply - 1) / bytes)))
end
reply[1] = last
return reply
`,
)

/** Arguments: the run. The server frees the memory in a thread of its own. */
const dropScript = new Script(
  'repeatable',
  `call('UNLINK', results .. ':' .. ARGV[1])
call('SREM', results, ARGV[1])
return {}
`,
)

const runsScript = new Script('repeatable', `return call('SMEMBERS', results)`)

export class RedisResults implements ResultSink {
  readonly #queue: RedisQueue

  constructor(queue: RedisQueue) {
    this.#queue = queue
  }

  async append(run: string, _writer: string, records: readonly string[]): Promise<void> {
    let start = 0
    let bytes = 0
    for (let index = 0; index <= records.length; index++) {
      const length = records[index]?.length ?? 0
      const isFull = index - start === appendedRecords || bytes + length > appendedBytes
      if (index > start && (isFull || index === records.length)) {
        await this.#queue.run(appendScript, 'store results in', [run, ...records.slice(start, index)])
        start = index
        bytes = 0
      }
      bytes += length
    }
  }

  async read(run: string, cursor: unknown): Promise<ResultPage> {
    const after = typeof cursor === 'string' ? cursor : ''
    const reply = await this.#queue.run(readScript, 'read results of', [run, after])
    const [last = '', ...records] = reply as string[]
    return { records, cursor: last }
  }

  async runs(): Promise<readonly string[]> {
    return (await this.#queue.run(runsScript, 'list the results of', [])) as string[]
  }

  async drop(run: string): Promise<void> {
    await this.#queue.run(dropScript, 'remove results of', [run])
  }

  /** Removes all runs. */
  async clear(): Promise<void> {
    for (const run of await this.runs()) await this.drop(run)
  }
}
