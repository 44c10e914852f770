-- POST the same request again and again; every answer's status and body must be exactly the expected one.
--   wrk -s check.lua URL -- REQUEST_FILE EXPECTED_FILE [NAME VALUE]...
local threads = {}

local function slurp(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

function setup(thread) threads[#threads + 1] = thread end

function init(args)
  wrong, sample = 0, ""
  wrk.method, wrk.body = "POST", slurp(args[1])
  expected = slurp(args[2])
  for i = 3, #args - 1, 2 do wrk.headers[args[i]] = args[i + 1] end
end

function response(status, headers, body)
  if status ~= 200 or body ~= expected then
    wrong = wrong + 1
    if sample == "" then sample = status .. " " .. body:sub(1, 200):gsub("%c", " ") end
  end
end

function done(summary)
  local total, first = 0, ""
  for _, thread in ipairs(threads) do
    total = total + thread:get("wrong")
    if first == "" then first = thread:get("sample") end
  end
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d\n", summary.requests, summary.duration, total,
    e.connect + e.read + e.write + e.timeout))
  io.write("SAMPLE " .. first .. "\n")
end
