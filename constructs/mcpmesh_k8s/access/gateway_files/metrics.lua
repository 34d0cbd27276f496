-- This module is what the gateway counts, and how Prometheus reads it. All workers count in one shared memory. Each
-- series is made when the gateway starts, of its routes and of fixed words: nothing that a client sends makes another.
local metrics = {}

local values = ngx.shared.metrics
local families = {}
local counted = {} -- by what is counted: the keys of its counters, by their labels

local BOUNDS = { 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60 } -- seconds: pages, and calls that wait for a model
local LOST = "gateway_metrics_lost_total"
local NOWHERE = "none" -- what no route took, or what was refused before its route was known

-- The words with which a problem of the log begins: those of a service, which gave no answer, and the others.
-- Who cut an answer short, the service or the client, is not known.
local OF_SERVICE = {
    "cannot reach", "hung up without an answer", "its answer is not HTTP", "no address", "no connection",
    "no connection in time", "silent for too long", "the head of its answer is longer",
}
local OF_GATEWAY = {
    "a line of the request's head, or all of it, is too long", "beyond the rate", "from another site",
    "more requests under way than one client may have", "the answer was cut short", "the gateway failed", "the login failed",
    "the login vouched for a request without an identity", "the request's first line is longer",
}

-- Nothing fails because it cannot be counted; that is counted instead.
local function add(key, value)
    if not (key and values:incr(key, value)) then
        values:incr(LOST, 1)
    end
end

local function keep(key)
    local kept, failure = values:safe_add(key, 0)
    if not kept and failure ~= "exists" then -- what a reload finds goes on
        values:incr(LOST, 1)
    end
    return key
end

local ESCAPES = { ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n" }

-- Names and values in turn, as Prometheus writes them: `a="b",c="d"`.
local function labels(...)
    local words, pairs_of = { ... }, {}
    for index = 1, #words, 2 do
        pairs_of[#pairs_of + 1] = words[index] .. '="' .. words[index + 1]:gsub('[\\"\n]', ESCAPES) .. '"'
    end
    return table.concat(pairs_of, ",")
end

local function family(name, kind, help)
    local made = { name = name, kind = kind, help = help }
    families[#families + 1] = made
    return made
end

local function series(of, told)
    local key = keep(told == "" and of.name or of.name .. "{" .. told .. "}")
    of[#of + 1] = key
    return key
end

-- A family of counters with one label, of which these are the values; or without any.
local function counters(name, help, label, of_label)
    local of, keys = family(name, "counter", help), {}
    for _, value in ipairs(of_label or { "" }) do
        keys[value] = series(of, label and labels(label, value) or "")
    end
    counted[name] = keys
end

-- How many of a histogram's requests fell between two bounds; Prometheus is told the sums.
local function histogram(of, told)
    local made = { told = told, sum = keep(of.name .. "_sum{" .. told .. "}") }
    for index = 1, #BOUNDS + 1 do
        made[index] = keep(of.name .. "_between{" .. told .. "} " .. index)
    end
    of[#of + 1] = made
    return made
end

local function sorted(keys)
    local list = {}
    for key in pairs(keys) do
        list[#list + 1] = key
    end
    table.sort(list)
    return list
end

local routes = {}

-- Called once, with the routes by their paths, whether a login is asked, and what tells one configuration from another.
function metrics.configure(of_routes, has_login, configuration)
    keep(LOST)
    local requests = family("gateway_http_requests_total", "counter", "Requests that were answered, or ended otherwise. "
        .. "1xx are WebSockets that ended.")
    local durations = family("gateway_http_request_duration_seconds", "histogram",
        "From a request's first byte to its answer's last, where a service was asked; without WebSockets.")
    local services = {}
    local function follow(path, service, websocket)
        local told = labels("route", path, "service", service)
        local route = { classes = {} }
        for class = websocket and 1 or 2, 5 do
            route.classes[class] = series(requests, told .. "," .. labels("status", class .. "xx"))
        end
        return route, told
    end
    routes[""] = follow(NOWHERE, NOWHERE, false)
    for _, path in ipairs(sorted(of_routes)) do
        local service = of_routes[path].service
        local told
        routes[path], told = follow(path, service, of_routes[path].websocket)
        routes[path].durations = histogram(durations, told)
        services[service] = true
    end
    counters("gateway_upstream_errors_total", "Requests to which a service gave no answer.", "service", sorted(services))
    local problems = { unpack(OF_SERVICE) }
    for _, word in ipairs(OF_GATEWAY) do
        problems[#problems + 1] = word
    end
    counters("gateway_problems_total", "Problems, by the words with which they begin in the log.", "problem", problems)
    counters("gateway_limited_total", "Requests that were answered with 429, by what was counted.", "by",
        { "address", "connections", "person" })
    if has_login then
        counters("gateway_login_asked_total", "Questions to the login, by its word.", "result",
            { "failed", "nobody", "refused", "vouched" })
        counters("gateway_login_remembered_total", "Requests for which the login's word was remembered.")
    end
    counters(LOST, "What could not be counted, for want of memory.")
    family("gateway_connections", "gauge", "Connections of clients: active is all of them.").read = { "active", "reading",
        "writing", "waiting" }
    local version = ngx.config.nginx_version
    family("gateway_info", "gauge", "The version of nginx, and a digest of the configuration.")[1] = { info = labels(
        "nginx", table.concat({ math.floor(version / 1000000), math.floor(version / 1000) % 1000, version % 1000 }, "."),
        "configuration", configuration) }
end

for _, word in ipairs(OF_SERVICE) do
    OF_SERVICE[word] = true
end

-- One more of a name, with the value of its label, if it has one.
function metrics.count(name, value)
    add(counted[name] and counted[name][value or ""], 1)
end

-- A problem, and of which service where it is a service's.
function metrics.count_problem(word, service)
    metrics.count("gateway_problems_total", word)
    if OF_SERVICE[word] then
        metrics.count("gateway_upstream_errors_total", service)
    end
end

-- A request that is over: at which route, if any, with what status, and after how many seconds, if a service was asked.
function metrics.count_request(path, status, seconds)
    local route = routes[path] or routes[""]
    -- A client that hung up, or speaks HTTP/0.9, has a status that is none.
    add(route.classes[math.floor(status / 100)] or route.classes[4], 1)
    local durations = route.durations
    if seconds and durations then
        local index = 1
        while BOUNDS[index] and seconds > BOUNDS[index] do
            index = index + 1
        end
        add(durations[index], 1)
        add(durations.sum, seconds)
    end
end

local function say_histogram(lines, name, of)
    local sum = 0
    for index = 1, #BOUNDS + 1 do
        sum = sum + (values:get(of[index]) or 0)
        lines[#lines + 1] = ("%s_bucket{%s,le=\"%s\"} %d"):format(name, of.told, BOUNDS[index] or "+Inf", sum)
    end
    lines[#lines + 1] = ("%s_sum{%s} %.3f"):format(name, of.told, values:get(of.sum) or 0)
    lines[#lines + 1] = ("%s_count{%s} %d"):format(name, of.told, sum)
end

-- All of it, in Prometheus' text format 0.0.4.
function metrics.text()
    local lines = {}
    for _, of in ipairs(families) do
        lines[#lines + 1] = "# HELP " .. of.name .. " " .. of.help
        lines[#lines + 1] = "# TYPE " .. of.name .. " " .. of.kind
        for _, one in ipairs(of) do
            if of.kind == "histogram" then
                say_histogram(lines, of.name, one)
            elseif type(one) == "table" then
                lines[#lines + 1] = of.name .. "{" .. one.info .. "} 1"
            else
                lines[#lines + 1] = one .. " " .. (values:get(one) or 0)
            end
        end
        for _, state in ipairs(of.read or {}) do
            lines[#lines + 1] = of.name .. "{" .. labels("state", state) .. "} " .. ngx.var["connections_" .. state]
        end
    end
    return table.concat(lines, "\n") .. "\n"
end

return metrics
