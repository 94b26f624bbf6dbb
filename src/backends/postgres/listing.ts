/** Lists messages without leasing them. */
import type { Failure, ListedMessage } from '../../backend/messages.js'
import { storedFailures } from './lease.js'
import { lowestId, type PostgresQueue, queueId } from './queue.js'

/** Messages of one request. Bodies may be long. */
const pageSize = 500
/** Ids of one request. */
const idPageSize = 10_000

const shown = `id, body, holder IS NOT NULL, extract(epoch FROM free_at - statement_timestamp())`

const messagesOf = (ids: string) => `
  SELECT row.* FROM ${ids} AS wanted (id) CROSS JOIN LATERAL (
    SELECT ${shown} FROM ptq.messages WHERE queue = ${queueId} AND id = wanted.id LIMIT 1
  ) AS row`

const pageStatement = messagesOf(`ptq.ids_after($1, $2, ${pageSize})`)

const someStatement = messagesOf('unnest($2::uuid[])')

const idPageStatement = `SELECT id FROM ptq.ids_after($1, $2, ${idPageSize}) AS id`

const failuresStatement = `SELECT array_to_json(failures) FROM ptq.messages WHERE queue = ${queueId} AND id = $2`

/** Lists messages in the order of their ids; bodies only of those that are wanted. */
export async function* listMessages(
  queue: PostgresQueue,
  wanted: ((id: string) => boolean) | undefined,
): AsyncGenerator<ListedMessage, void, undefined> {
  for (let last: string | undefined = lowestId; last !== undefined; ) {
    if (wanted === undefined) {
      const page = await pageOf(queue, pageStatement, last)
      yield* page
      last = page.length < pageSize ? undefined : page.at(-1)?.id
      continue
    }
    const rows: readonly (readonly (string | null)[])[] = (await queue.read('list', idPageStatement, [last])) ?? []
    const ids = rows.map(([id]) => id ?? '')
    const some = ids.filter(id => wanted(id))
    for (let start = 0; start < some.length; start += pageSize) {
      yield* await pageOf(queue, someStatement, some.slice(start, start + pageSize))
    }
    last = ids.length < idPageSize ? undefined : ids.at(-1)
  }
}

async function pageOf(queue: PostgresQueue, text: string, value: unknown): Promise<ListedMessage[]> {
  const rows = (await queue.read('list', text, [value])) ?? []
  return rows.map(([id, body, held, seconds]) => {
    const message = { id: id ?? '', body: body ?? '' }
    const availableInSeconds = Number(seconds)
    if (availableInSeconds <= 0) return { ...message, state: 'ready' }
    return { ...message, state: held === 't' ? 'leased' : 'delayed', availableInSeconds }
  })
}

/** The recorded failures of a message, oldest first. */
export async function failuresOf(queue: PostgresQueue, id: string): Promise<readonly Failure[]> {
  const rows = await queue.read('read the failures of', failuresStatement, [id])
  const json = rows?.[0]?.[0]
  return json == null ? [] : storedFailures(json)
}
