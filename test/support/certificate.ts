/** A certificate for servers on this machine, made on the spot: nothing to check in, nothing to run out. */
import { generateKeyPairSync, sign } from 'node:crypto'

export interface Certificate {
  readonly key: string
  /** Signed by itself: what the server shows and what its clients trust. */
  readonly certificate: string
}

/** For `localhost` and 127.0.0.1, valid from yesterday for ten years (RFC 5280, with a P-256 key). */
export function selfSigned(): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const name = sequence(der(0x31, sequence(commonName, der(0x0c, Buffer.from('localhost')))))
  const day = 86_400_000
  const body = sequence(
    der(0xa0, der(0x02, Buffer.of(2))),
    der(0x02, Buffer.of(1)),
    sequence(ecdsaWithSha256),
    name,
    sequence(time(Date.now() - day), time(Date.now() + 3_650 * day)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(authority, names)),
  )
  const signature = sign('sha256', body, privateKey)
  const certificate = sequence(
    body,
    sequence(ecdsaWithSha256),
    der(0x03, Buffer.concat([Buffer.of(0), signature])),
  )
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    certificate: pem(certificate),
  }
}

/** A value of ASN.1 as DER: tag, length, content. */
function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const long = [...Buffer.from(length.toString(16).padStart(4, '0'), 'hex')]
  const size = length < 0x80 ? [length] : [0x82, ...long]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, ...parts)
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'))
}

function time(at: number): Buffer {
  const text = new Date(at).toISOString().replace(/[-:T]|\.\d+/g, '')
  return der(0x18, Buffer.from(text))
}

function pem(data: Buffer): string {
  const lines = data.toString('base64').match(/.{1,64}/g) ?? []
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
}

const ecdsaWithSha256 = oid('2a8648ce3d040302')
const commonName = oid('550403')
/** It may sign: clients trust it as the authority of itself. */
const authority = sequence(oid('551d13'), der(0x04, sequence(der(0x01, Buffer.of(0xff)))))
const names = sequence(
  oid('551d11'),
  der(0x04, sequence(der(0x82, Buffer.from('localhost')), der(0x87, Buffer.of(127, 0, 0, 1)))),
)
