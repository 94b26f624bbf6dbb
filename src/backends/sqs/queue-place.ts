/** The place of an SQS queue, parsed from its name or URL. No I/O. */
import { argumentError } from '../../errors/errors.js'

/** The place of a queue, as far as its name or URL contains it. */
export interface QueuePlace {
  readonly name: string
  /** The URL that SQS itself uses; absent if SQS has to be asked for it by name. */
  readonly url?: string
  /** The 12 digits of the account that owns the queue. */
  readonly account?: string
  readonly region?: string
  /** The endpoint, if it isn't the region's own. */
  readonly endpoint?: string
  readonly fifo: boolean
}

/** At most 80 letters, digits, `-` and `_`; `.fifo` counts among the 80. Source: CreateQueue in the SQS API reference. */
const queueName = /^(?=.{1,80}$)[A-Za-z0-9_-]+(?:\.fifo)?$/

const accountId = /^\d{12}$/

/** Hosts that the SDK finds by the region alone, the old spelling included. */
const regionHost = /^(?:sqs\.([a-z0-9-]+)|([a-z0-9-]+)\.queue)\.amazonaws\.com(?:\.cn)?$/

/** FIPS, dual-stack and VPC hosts: they have to be called by the name that was given. */
const otherAwsHost =
  /^(?:sqs-fips|sqs|[a-z0-9-]+\.sqs)\.([a-z0-9-]+)\.(?:amazonaws\.com|vpce\.amazonaws\.com|api\.aws|api\.amazonwebservices\.com)(?:\.cn)?$/

const expected =
  'an SQS queue: a name of at most 80 letters, digits, `-` and `_` (`.fifo` at the end for a FIFO queue), ' +
  'https://sqs.REGION.amazonaws.com/accountId/queueName, or http://HOST:PORT/accountId/queueName with an account of 12 digits'

/**
 * Reads a queue's name or URL.
 *
 * @param path `name`, `name.fifo`, or an http(s) URL whose path ends in `/accountId/queueName`
 * @throws TypeError where it is neither
 */
export function parseQueuePlace(path: string): QueuePlace {
  if (queueName.test(path)) return { name: path, fifo: path.endsWith('.fifo') }
  const url = /^https?:\/\//i.test(path) && URL.canParse(path) ? new URL(path) : undefined
  if (url === undefined) throw argumentError('queue', expected, path)
  if (url.username !== '' || url.password !== '') {
    throw argumentError('queue', 'a URL without a user name or password', path)
  }
  const [name, account] = url.pathname.split('/').reverse()
  if (
    url.search !== '' ||
    url.hash !== '' ||
    name === undefined ||
    !queueName.test(name) ||
    !accountId.test(account ?? '')
  ) {
    throw argumentError('queue', expected, path)
  }
  const fifo = name.endsWith('.fifo')
  const byRegion = regionHost.exec(url.hostname)
  if (byRegion) return { name, url: path, region: byRegion[1] ?? byRegion[2] ?? '', fifo, ...(account && { account }) }
  if (url.hostname === 'queue.amazonaws.com')
    return { name, url: path, region: 'us-east-1', fifo, ...(account && { account }) }
  const other = otherAwsHost.exec(url.hostname)
  if (other) return { name, url: path, region: other[1] ?? '', endpoint: url.origin, fifo, ...(account && { account }) }
  // Emulators have URLs of their own for a queue (another host, another account), so they are asked for it.
  return { name, endpoint: url.origin, fifo }
}
