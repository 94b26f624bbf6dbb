/** Classifies failed requests to SQS (retry or not), and describes them in one sentence. */
import {
  causeChain,
  codeOf as codeOfError,
  errorsOf,
  isError,
  isErrorNamed,
  messageOf,
  nameOf,
} from '../../errors/thrown.js'
import { secretFilesShown } from './credentials.js'

/** The queue, as messages name it. */
export interface QueueAddress {
  readonly name: string
  readonly region: string
  /** Absent: the region's own. */
  readonly endpoint?: string | undefined
}

/**
 * `throttled` and `faulty`: the server answered, and may succeed later. `unreachable`: it didn't answer. `final`:
 * another try would fail in the same way.
 */
export type FaultKind = 'throttled' | 'faulty' | 'unreachable' | 'final'

/** Throttling under all its names; `OverLimit` (120,000 messages in flight) ends as workers delete. */
const throttlingCodes =
  /^(?:RequestThrottled(?:Exception)?|Throttling(?:Exception)?|ThrottledException|RequestLimitExceeded|TooManyRequestsException|SlowDown|KmsThrottled|OverLimit)$/

const networkCodes = new Set([
  'ECONNRESET',
  'ECONNREFUSED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EAI_FAIL',
])

/** The lease is gone: expired and perhaps leased by another, or deleted. */
const leaseLostCodes = /^(?:ReceiptHandleIsInvalid|MessageNotInflight)$/

/** Refused credentials. Messages of the signature kind quote the signed headers, the session token among them. */
const signatureCodes = /^(?:SignatureDoesNotMatch|InvalidSignature(?:Exception)?|IncompleteSignature(?:Exception)?)$/
const refusedCodes =
  /^(?:AccessDenied(?:Exception)?|InvalidClientTokenId|UnrecognizedClientException|ExpiredToken(?:Exception)?|InvalidSecurity|MissingAuthenticationToken(?:Exception)?|AuthFailure|OptInRequired|InvalidAccessKeyId)$/

/** Errors for a request with a wrong date. Source: `CLOCK_SKEW_ERROR_CODES` of the SDK. */
const clockCodes =
  /^(?:AuthFailure|InvalidSignature(?:Exception)?|RequestExpired|RequestInTheFuture|RequestTimeTooSkewed|SignatureDoesNotMatch)$/

/** Entries that fail so fail for each message: the queue is gone, its key can't be used, it lacks the action. */
const queueFaultCodes = /^(?:QueueDoesNotExist|QueueDeletedRecently|Kms\w*|KMS\..*|UnsupportedOperation)$/

/** Headers of a request that must not be repeated in an error: they hold the session token. */
const quotedRequest = /x-amz-security-token|AWS4-HMAC-SHA256/i

/** Names in the old protocol carry a prefix, and some servers send it in the new one too. */
export function codeOf(error: unknown): string {
  const name = isError(error) ? nameOf(error) : typeof error === 'string' ? error : ''
  return name.replace(/^AWS\.SimpleQueueService\./, '').replace(/^NonExistentQueue$/, 'QueueDoesNotExist')
}

/** The SDK's additions to its errors. */
interface SdkError extends Error {
  readonly code?: unknown
  readonly $metadata?: {
    readonly httpStatusCode?: number
    readonly requestId?: string
    readonly clockSkewCorrected?: boolean
  }
  readonly $retryable?: { readonly throttling?: boolean }
}

/** Decides if another try may help. */
export function faultKind(error: unknown): FaultKind {
  return kindOf(error, new Set())
}

/** @param seen the errors that led to this one: a cause may be among them */
function kindOf(error: unknown, seen: Set<unknown>): FaultKind {
  if (!isError(error) || seen.has(error)) return 'final'
  seen.add(error)
  const { $metadata, $retryable, code }: SdkError = error
  const status = $metadata?.httpStatusCode
  if (throttlingCodes.test(codeOf(error)) || status === 429 || $retryable?.throttling === true) return 'throttled'
  // 501 is the status of an unknown action, which stays unknown.
  if (status !== undefined && status >= 500 && status !== 501) return 'faulty'
  // The SDK has corrected its clock by the server's, and the next signature will be right. It sets this for each error
  // on a host whose clock is some minutes off.
  if ($metadata?.clockSkewCorrected === true && clockCodes.test(codeOf(error))) return 'faulty'
  if (error.name === 'TimeoutError' || (typeof code === 'string' && networkCodes.has(code))) return 'unreachable'
  const errors = errorsOf(error)
  return kindOf(errors === undefined ? error.cause : errors[0], seen)
}

/** True where an entry of a batch may be sent again: a fault of the server, or throttling. */
export function isEntryRetryable(failed: { SenderFault?: boolean | undefined; Code?: string | undefined }): boolean {
  return failed.SenderFault !== true || throttlingCodes.test(codeOf(failed.Code ?? ''))
}

/**
 * The cause of a failed entry of a batch: `lease-lost`, its lease has ended; `message`, SQS refuses this one message;
 * `queue`, it would refuse any other as well.
 */
export type EntryFault = 'lease-lost' | 'message' | 'queue'

/** Distinguishes faults of one message from those of the queue: the only place where that is decided. */
export function entryFault(failed: {
  SenderFault?: boolean | undefined
  Code?: string | undefined
  Message?: string | undefined
}): EntryFault {
  const code = codeOf(failed.Code ?? '')
  if (leaseLostCodes.test(code)) return 'lease-lost'
  // Real SQS says InvalidParameterValue and names the handle: "The receipt handle has expired" (FIFO), "Message does not
  // exist or is not available for visibility timeout change".
  if (/receipt ?handle has expired|not available for visibility timeout change/i.test(failed.Message ?? '')) {
    return 'lease-lost'
  }
  const isOfAll =
    isEntryRetryable(failed) || refusedCodes.test(code) || signatureCodes.test(code) || queueFaultCodes.test(code)
  return isOfAll ? 'queue' : 'message'
}

/** SQS doesn't know the key, or it has expired: other credentials may be valid. */
const keyRefusedCodes =
  /^(?:InvalidClientTokenId|UnrecognizedClientException|ExpiredToken(?:Exception)?|InvalidSecurity|AuthFailure|InvalidAccessKeyId)$/

/** True where SQS refused the credentials themselves, and not what was done with them. */
export function isKeyRefused(error: unknown): boolean {
  return keyRefusedCodes.test(codeOf(error)) || signatureCodes.test(codeOf(error))
}

/** True if the time of the credentials is over: whatever replaces them may be a little late. */
export function isKeyExpired(error: unknown): boolean {
  return /^ExpiredToken(?:Exception)?$/.test(codeOf(error))
}

/** True where SQS refused a request or an entry because the credentials lack the right to it. */
export function isForbidden(error: unknown): boolean {
  return causeChain(error).some(each => refusedCodes.test(codeOf(each)))
}

/** The name of a queue in messages: `sqs://jobs (us-east-1)`. */
export function addressOf(queue: QueueAddress): string {
  return `sqs://${queue.name} (${queue.region}${queue.endpoint === undefined ? '' : `, ${queue.endpoint}`})`
}

/** The preposition before the queue's name; others with `on`. */
const faultPhrases: Readonly<Record<string, string>> = {
  open: 'open',
  purge: 'purge',
  count: 'count the tasks in',
  insert: 'insert into',
  lease: 'lease from',
  renew: 'renew leases of',
  delete: 'delete from',
}

/**
 * One sentence on a failed request, with the SDK's error as `cause` (except where that one may quote a secret).
 *
 * @param doing what was tried, e.g. `insert`
 */
export function requestError(error: unknown, doing: string, queue: QueueAddress): Error {
  const code = codeOf(error)
  const where = addressOf(queue)
  const message = messageOf(error)
  if (code === 'QueueDoesNotExist') {
    return new Error(
      `No queue \`${queue.name}\` in ${queue.region} at ${queue.endpoint ?? "the region's own endpoint"}: create it, ` +
        `pass \`createIfMissing: true\`, or check the region, the endpoint and the account`,
      { cause: error },
    )
  }
  if (
    code === 'CredentialsProviderError' ||
    /Could not load credentials|credential object is not valid/i.test(message)
  ) {
    return new Error(
      `No AWS credentials for ${where}: looked in ${secretFilesShown} and the AWS SDK's own chain (environment, ` +
        `profile, SSO, container, instance)`,
      { cause: error },
    )
  }
  if (quotedRequest.test(message) && !signatureCodes.test(code)) {
    return new Error(
      `Can't ${faultPhrases[doing] ?? `${doing} on`} ${where}: ${code}; what the server said repeats the request, and is not shown`,
    )
  }
  if (signatureCodes.test(code)) {
    return new Error(`SQS refused the credentials for ${where}: ${code}; check the secret key and this host's clock`)
  }
  if (refusedCodes.test(code)) {
    return new Error(
      `SQS refused to ${faultPhrases[doing] ?? `${doing} on`} ${where}: ${code}; check the credentials and their rights (${message})`,
      {
        cause: error,
      },
    )
  }
  if (code === 'PurgeQueueInProgress') {
    return new Error(`${where} was purged less than 60 seconds ago: wait, or purge without \`native\``, {
      cause: error,
    })
  }
  if (faultKind(error) === 'unreachable') {
    const reason = codeOfError(error) ?? message
    return new Error(
      `Can't ${faultPhrases[doing] ?? `${doing} on`} ${where}: no answer (${reason}); check the network, the region and the endpoint`,
      {
        cause: error,
      },
    )
  }
  const status = isError(error) ? (error as SdkError).$metadata?.httpStatusCode : undefined
  if (
    isErrorNamed(error, 'SyntaxError') ||
    code === 'UnknownError' ||
    code === 'Unknown' ||
    /Deserialization error/i.test(message)
  ) {
    return new Error(
      `${queue.endpoint ?? where} doesn't answer like SQS${status === undefined ? '' : ` (HTTP ${status})`}: check the endpoint`,
      { cause: error },
    )
  }
  return new Error(
    `Can't ${faultPhrases[doing] ?? `${doing} on`} ${where}: ${code}${status === undefined ? '' : ` (HTTP ${status})`}: ${message}`,
    {
      cause: error,
    },
  )
}
