"""Two town offices below a company, so that the one can be kept from what is the other's."""

OFFICES = """code,name_en,name_hi,level,parent
CO,Company,कंपनी,company,
MHOW,Mhow,महू,town-office,CO
DHAR,Dhar,धार,town-office,CO
"""
