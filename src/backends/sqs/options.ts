/** The options of an `sqs://` queue. */
import type { SQSClientConfig } from '@aws-sdk/client-sqs'
import type { BackendOptions } from '../../backend/backend.js'
import { argumentError, withoutUserInfo } from '../../errors/errors.js'

/** The part of an `SQSClient` that is used; any client of the AWS SDK v3 fits. */
export interface SqsClient {
  send(command: never, options?: { abortSignal?: AbortSignal }): Promise<unknown>
}

/** Options of an `sqs://` queue; all others are passed to the `SQSClient` unchanged (`credentials`, `profile`, …). */
export interface SqsOptions extends BackendOptions {
  /**
   * The region, e.g. `us-west-2`. Default: the one in the queue's URL, then `AWS_REGION`, `AWS_DEFAULT_REGION`,
   * `AWS_DEFAULT_REGION` of the aws-secret.json, the profile's, `us-east-1`.
   */
  readonly region?: string
  /** The endpoint, e.g. `http://localhost:4566`. Default: the region's own endpoint, or `AWS_ENDPOINT_URL_SQS`. */
  readonly endpoint?: string
  /** A client, used unchanged for everything and never closed; `region` and the other settings are its own. */
  readonly client?: SqsClient
  /** Makes the queue when it isn't there. Default false. */
  readonly createIfMissing?: boolean
  /**
   * Number of seconds for which a request is tried again after the SDK has given up, while SQS is throttling, failing
   * (5xx) or, once it has answered, unreachable. Default 60.
   */
  readonly retrySeconds?: number
  /**
   * Number of seconds for which the approximate counts must be 0 before the queue counts as empty. Default 60: AWS
   * promises no less ("at least 1 minute after the producers stop sending messages", GetQueueAttributes). 0 suits an
   * emulator.
   */
  readonly emptyWindowSeconds?: number
}

/** The options, checked and with their defaults. */
export interface CheckedOptions {
  readonly concurrency: number
  readonly region: string | undefined
  readonly endpoint: string | undefined
  readonly client: SqsClient | undefined
  readonly createIfMissing: boolean
  readonly retrySeconds: number
  readonly emptyWindowSeconds: number
  /** Settings of the `SQSClient`. */
  readonly settings: SQSClientConfig
}

/**
 * Checks the options and fills in the defaults.
 *
 * @throws TypeError where one of them isn't what it has to be
 */
export function checkOptions(options: SqsOptions): CheckedOptions {
  const {
    concurrency = 40,
    progress: _progress,
    region,
    endpoint,
    client,
    createIfMissing = false,
    retrySeconds = 60,
    emptyWindowSeconds = 60,
    ...settings
  } = options
  if (!Number.isInteger(concurrency) || concurrency < 1) {
    throw argumentError('concurrency', 'an integer of 1 or more', concurrency)
  }
  if (region !== undefined && (typeof region !== 'string' || !/^[a-z0-9-]+$/.test(region))) {
    throw argumentError('region', 'the name of an AWS region, e.g. `us-west-2`', region)
  }
  if (endpoint !== undefined && !isHttpUrl(endpoint)) throw notHttpUrl('endpoint', endpoint)
  if (endpoint !== undefined && withoutUserInfo(endpoint) !== endpoint) {
    throw argumentError('endpoint', 'an http(s) URL without a user name or password: SQS takes neither', endpoint)
  }
  if (client !== undefined && !isClient(client)) throw argumentError('client', 'an SQSClient', client)
  if (typeof createIfMissing !== 'boolean') throw argumentError('createIfMissing', 'a boolean', createIfMissing)
  for (const [name, value] of Object.entries({ retrySeconds, emptyWindowSeconds })) {
    if (!Number.isFinite(value) || value < 0) throw argumentError(name, 'a number of seconds of 0 or more', value)
  }
  return { concurrency, region, endpoint, client, createIfMissing, retrySeconds, emptyWindowSeconds, settings }
}

/** True if this can be an endpoint. */
export function isHttpUrl(endpoint: unknown): endpoint is string {
  return typeof endpoint === 'string' && /^https?:\/\//i.test(endpoint) && URL.canParse(endpoint)
}

/** The error for an invalid endpoint. A host and port alone is the usual mistake. */
export function notHttpUrl(name: string, endpoint: unknown): TypeError {
  const lacks = typeof endpoint === 'string' && !endpoint.includes('://')
  const expected = `an http(s) URL such as http://localhost:4566${lacks ? ' (http:// is missing)' : ''}`
  // It may hold a password.
  const hasUser = typeof endpoint === 'string' && endpoint.includes('@')
  return argumentError(name, expected, hasUser ? 'a text that is none' : endpoint)
}

function isClient(client: unknown): client is SqsClient {
  return typeof client === 'object' && client !== null && 'send' in client && typeof client.send === 'function'
}
