-- wrk script: POST the body in $BODY with the headers in $HEADERS (one "Name: value" a line); print one JSON object.
local file = assert(io.open(os.getenv("BODY")))
wrk.method, wrk.body = "POST", file:read("*a")
file:close()
wrk.headers["Content-Type"] = "application/json"
for line in io.lines(os.getenv("HEADERS")) do
  local name, value = line:match("^([^:]+): (.*)$")
  if name then wrk.headers[name] = value end
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '\nJSON {"per_second":%.1f,"finished":%d,"bad_status":%d,"broken":%d,"timeouts":%d,"p50":%.4f,"p99":%.4f,"max":%.4f}\n',
    summary.requests / (summary.duration / 1e6), summary.requests, e.status, e.connect + e.read + e.write, e.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, latency.max / 1000))
end
