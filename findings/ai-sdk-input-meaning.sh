#!/usr/bin/env bash
# AI SDK: usage.inputTokens of one Anthropic answer is 100 with major 5 and 3100 with major 6 and 7.
#
# Guess:   the usage object of generateText keeps its meaning; an upgrade adds fields.
# Packages: npm ai 5.0.277 + @ai-sdk/anthropic 2.0.112, ai 6.0.326 + 3.0.140, ai 7.0.173 + 4.0.105.
# Seen, for 100 fresh, 2000 read from and 1000 written to the cache, 50 output:
#          * 5: inputTokens 100, totalTokens 150, cachedInputTokens 2000; the 1000 written are in no field;
#          * 6: inputTokens 3100, totalTokens 3150, inputTokenDetails with all parts, cachedInputTokens still there;
#          * 7: the same, cachedInputTokens gone (undefined).
#          No major has the 5m/1h split outside the raw object.
# Why it matters: agents built on the SDK (opencode is one) report by it. "input minus cached" is fresh input plus writes for 6,
#          negative for 5 and not a number for 7. A receiver needs the SDK's major, or the parts.
# Source:  observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for set in "five ai@5.0.277 @ai-sdk/anthropic@2.0.112" "six ai@6.0.326 @ai-sdk/anthropic@3.0.140" "seven ai@7.0.173 @ai-sdk/anthropic@4.0.105"; do
    read -r name core provider <<<"$set"
    npm install --silent --no-audit --no-fund --prefix "$work/$name" "$core" "$provider" >/dev/null
done

cat >"$work/probe.mjs" <<'PROBE'
import http from 'node:http'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const usage = { input_tokens: 100, output_tokens: 50, cache_read_input_tokens: 2000, cache_creation_input_tokens: 1000,
  cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 1000 } }
const message = { id: 'msg_1', type: 'message', role: 'assistant', model: 'claude-opus-5', content: [{ type: 'text', text: 'ok' }],
  stop_reason: 'end_turn', stop_sequence: null, usage }
const server = http.createServer((request, answer) => {
  request.resume().on('end', () => { answer.writeHead(200, { 'content-type': 'application/json' }); answer.end(JSON.stringify(message)) })
})
await new Promise(done => server.listen(0, '127.0.0.1', done))
for (const name of ['five', 'six', 'seven']) {
  const from = createRequire(pathToFileURL(`${process.argv[2]}/${name}/x.js`))
  const { generateText } = await import(pathToFileURL(from.resolve('ai')))
  const { createAnthropic } = await import(pathToFileURL(from.resolve('@ai-sdk/anthropic')))
  const model = createAnthropic({ apiKey: 'x', baseURL: `http://127.0.0.1:${server.address().port}/v1` })('claude-opus-5')
  const seen = (await generateText({ model, prompt: 'hi' })).usage
  console.log(name, 'input', seen.inputTokens, 'total', seen.totalTokens, 'cached', seen.cachedInputTokens,
    'details', JSON.stringify(seen.inputTokenDetails), '| input minus cached', seen.inputTokens - seen.cachedInputTokens)
}
process.exit(0)
PROBE

cat >"$work/recorded" <<'RECORDED'
five input 100 total 150 cached 2000 details undefined | input minus cached -1900
six input 3100 total 3150 cached 2000 details {"noCacheTokens":100,"cacheReadTokens":2000,"cacheWriteTokens":1000} | input minus cached 1100
seven input 3100 total 3150 cached undefined details {"noCacheTokens":100,"cacheReadTokens":2000,"cacheWriteTokens":1000} | input minus cached NaN
RECORDED

node "$work/probe.mjs" "$work" 2>/dev/null | tee "$work/seen"
diff -u "$work/recorded" "$work/seen" || { echo "CHANGED: no longer as recorded"; exit 1; }
echo "as recorded"
